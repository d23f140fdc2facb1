{{/* Parts of the service's container that are long enough to be in the way in deployment.yaml. */}}

{{- define "larimar.redisEnv" -}}
{{- if .Values.valkey.enabled -}}
- name: VALKEY_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "larimar.valkeySecret" . }}, key: {{ .Values.valkey.existingSecretKey }}}}
- name: LARIMAR_REDIS_URL
  value: redis://:$(VALKEY_PASSWORD)@{{ include "larimar.fullname" . }}-valkey:6379/0
{{- else -}}
- name: LARIMAR_REDIS_URL
  valueFrom: {secretKeyRef: {name: {{ include "larimar.redisSecret" . }}, key: {{ .Values.redis.existingSecretKey }}}}
{{- end }}
{{- if .Values.redis.caSecret }}
- name: SSL_CERT_FILE
  value: /etc/larimar/redis-ca/{{ .Values.redis.caKey }}
{{- end }}
{{- end }}

{{- define "larimar.resources" -}}
{{- $resources := deepCopy .Values.resources }}
{{- if include "larimar.gpu" . }}
{{- $limits := merge (dict .Values.gpu.resourceName .Values.gpu.count) (default dict $resources.limits) }}
{{- $_ := set $resources "limits" $limits }}
{{- end }}
{{- toYaml $resources }}
{{- end }}

{{- define "larimar.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: admin, mountPath: /etc/larimar/admin, readOnly: true}
{{- if .Values.receipts.existingSecret }}
- {name: receipts, mountPath: /etc/larimar/receipts, readOnly: true}
{{- end }}
{{- if .Values.redis.caSecret }}
- {name: redis-ca, mountPath: /etc/larimar/redis-ca, readOnly: true}
{{- end }}
{{- if .Values.weights.persistence.enabled }}
- {name: weights, mountPath: /var/lib/larimar/weights, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "larimar.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: {{ .Values.tmpSizeLimit }}}
- name: admin
  secret:
    secretName: {{ include "larimar.adminSecret" . }}
    items: [{key: {{ include "larimar.adminSecretKey" . }}, path: {{ include "larimar.adminSecretKey" . }}}]
{{- with .Values.receipts.existingSecret }}
- name: receipts
  secret: {secretName: {{ . }}}
{{- end }}
{{- with .Values.redis.caSecret }}
- name: redis-ca
  secret: {secretName: {{ . }}}
{{- end }}
{{- if .Values.weights.persistence.enabled }}
- name: weights
  persistentVolumeClaim: {claimName: {{ include "larimar.weightsClaim" . }}}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
