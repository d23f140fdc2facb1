// Facts of a text: lines that people paste, and files. Every fact remembers its line.

/**
 * Facts of a text, one a line: JSON, `prompt => target`, a tab between them, or a sentence.
 * Gives { facts: [{ line, fact }], wrong: [{ line, message }] }; lines count from 1.
 */
export function parse(text) {
  const facts = [];
  const wrong = [];
  text.split(/\r?\n/).forEach((line, i) => {
    if (!line.trim()) return;
    try {
      facts.push({ line: i + 1, fact: factOf(line) });
    } catch (error) {
      wrong.push({ line: i + 1, message: error.message });
    }
  });
  return { facts, wrong };
}

function factOf(line) {
  if (line.trimStart().startsWith("{")) {
    try {
      return JSON.parse(line);
    } catch {
      throw new Error("is not JSON");
    }
  }
  const [prompt, ...rest] = line.split(/=>|\t/).map((part) => part.trim());
  if (!rest.length) return { text: prompt };
  if (!prompt || !rest[0] || rest.length > 1) throw new Error("needs one prompt and one target");
  return { prompt, target: rest[0] };
}

/** A file's text as lines: of a .csv each record becomes a line of JSON. Throws Error. */
export function linesOf(text, name) {
  if (!name.toLowerCase().endsWith(".csv")) return text;
  const [head, ...records] = table(text);
  const names = head?.map((one) => one.trim()) ?? [];
  if (!names.includes("text") && !(names.includes("prompt") && names.includes("target"))) {
    throw new Error("The first line of a .csv names its columns: prompt,target or text.");
  }
  return records.map((record) => JSON.stringify(named(names, record))).join("\n");
}

function named(names, record) {
  const fact = {};
  names.forEach((name, i) => {
    if (!record[i]) return; // an empty field is one that is not given
    fact[name] = name === "ttl_seconds" ? Number(record[i]) : record[i];
  });
  return fact;
}

/** The records of a CSV (RFC 4180): quoted fields may hold commas, quotes and line ends. */
function table(text) {
  const records = [[]];
  const field = /(?:"((?:[^"]|"")*)"|([^,\r\n]*))(,|\r?\n|$)/gy;
  while (field.lastIndex < text.length) {
    const found = field.exec(text);
    if (!found) throw new Error(`Record ${records.length} of the .csv has a stray quote.`);
    records.at(-1).push(found[1]?.replaceAll('""', '"') ?? found[2]);
    if (found[3] !== ",") records.push([]);
  }
  return records.filter((record) => record.some((one) => one.trim()));
}
