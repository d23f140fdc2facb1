{{- define "larimar.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "larimar.fullname" -}}
{{- $name := include "larimar.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "larimar.selector" -}}
app.kubernetes.io/name: {{ include "larimar.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "larimar.serverSelector" -}}
{{ include "larimar.selector" . }}
app.kubernetes.io/component: server
{{- end }}

{{- define "larimar.valkeySelector" -}}
{{ include "larimar.selector" . }}
app.kubernetes.io/component: valkey
{{- end }}

{{- define "larimar.labels" -}}
{{ include "larimar.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "larimar.gpu" -}}
{{- if gt (int .Values.gpu.count) 0 }}true{{ end }}
{{- end }}

{{- define "larimar.image" -}}
{{- $variant := ternary "cuda" "cpu" (eq (include "larimar.gpu" .) "true") }}
{{- printf "%s:%s" .Values.image.repository (default (printf "%s-%s" .Chart.AppVersion $variant) .Values.image.tag) }}
{{- end }}

{{- define "larimar.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "larimar.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "larimar.adminSecret" -}}
{{- default (printf "%s-admin" (include "larimar.fullname" .)) .Values.auth.existingSecret }}
{{- end }}

{{- define "larimar.adminSecretKey" -}}
{{- ternary .Values.auth.existingSecretKey "admin-key" (ne .Values.auth.existingSecret "") }}
{{- end }}

{{- define "larimar.redisSecret" -}}
{{- default (printf "%s-redis" (include "larimar.fullname" .)) .Values.redis.existingSecret }}
{{- end }}

{{- define "larimar.valkeySecret" -}}
{{- default (printf "%s-valkey" (include "larimar.fullname" .)) .Values.valkey.existingSecret }}
{{- end }}

{{- define "larimar.weightsClaim" -}}
{{- default (printf "%s-weights" (include "larimar.fullname" .)) .Values.weights.persistence.existingClaim }}
{{- end }}

{{/* The value that a Secret of ours holds already, else the one given, else a new one. */}}
{{- define "larimar.kept" -}}
{{- $old := lookup "v1" "Secret" .root.Release.Namespace .secret }}
{{- if .given }}{{ .given }}
{{- else if and $old (index (default dict $old.data) .key) }}{{ index $old.data .key | b64dec }}
{{- else }}{{ randAlphaNum 40 }}{{ end }}
{{- end }}

{{/* What values.schema.json cannot say. */}}
{{- define "larimar.check" -}}
{{- $ways := 0 }}
{{- range list .Values.redis.url .Values.redis.existingSecret .Values.valkey.enabled }}
{{- if . }}{{ $ways = add1 $ways }}{{ end }}
{{- end }}
{{- if eq $ways 0 }}
{{- fail "no Redis: set redis.url or redis.existingSecret, or valkey.enabled=true for a Valkey of the release's own" }}
{{- else if gt $ways 1 }}
{{- fail "more than one Redis: set only one of redis.url, redis.existingSecret and valkey.enabled" }}
{{- end }}
{{- if and .Values.autoscaling.hpa.enabled .Values.autoscaling.keda.enabled }}
{{- fail "set only one of autoscaling.hpa.enabled and autoscaling.keda.enabled" }}
{{- end }}
{{- if and .Values.autoscaling.keda.enabled (not .Values.autoscaling.keda.prometheusAddress) }}
{{- fail "autoscaling.keda.enabled needs autoscaling.keda.prometheusAddress" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "ingress.enabled needs ingress.hosts" }}
{{- end }}
{{- if and .Values.redis.cluster (ne .Values.settings.durability "local") }}
{{- fail "with redis.cluster, settings.durability must be local" }}
{{- end }}
{{- if and .Values.redis.cluster .Values.valkey.enabled }}
{{- fail "redis.cluster is for an external Redis: the release's own Valkey is one server" }}
{{- end }}
{{- end }}
