// What takes the place of key and host in the samples of a page; where a sample sets a variable, its name stays.
export const HOSTED = "https://api.massivesms.com";
export const PLACEHOLDER =
  /\bMASSIVESMS_(?:API_KEY|BASE_URL)\b(?!=)|msvs_(?:live|test)_\.\.\.|\b(?:Async)?MassiveSMS\([a-z{)]|MassiveSMS::Client\.new|MassiveSMS\\Client\(|massivesms\.New\(""/;

/** What stands in a sample for the key and the host, and what takes its place; those with arguments come first. */
export function replacements(key, host) {
  const pairs = (format, names) => [[names[0], key], [names[1], host]].filter(([, value]) => value).map(([name, value]) => format(name, value)).join(", ");
  const python = pairs((name, value) => `${name}="${value}"`, ["api_key", "base_url"]);
  const node = pairs((name, value) => `${name}: "${value}"`, ["apiKey", "baseUrl"]);
  const ruby = pairs((name, value) => `${name}: "${value}"`, ["api_key", "base_url"]);
  const php = pairs((name, value) => `'${name}' => '${value}'`, ["api_key", "base_url"]);
  const go = `"${key}"${host && `, massivesms.WithBaseURL("${host}")`}`;
  return [
    [/ *(?:#|\/\/) (?:the key is read from )?MASSIVESMS_API_KEY/g, ""],
    [/\$MASSIVESMS_API_KEY|msvs_(?:live|test)_\.\.\./g, key],
    [/\$MASSIVESMS_BASE_URL\b/g, host || HOSTED],
    [/(?<=new MassiveSMS\()\{ /g, `{ ${node}, `],
    [/(?<=new MassiveSMS\()(?=\))/g, `{ ${node} }`],
    [/(?<=(?<!new )\b(?:Async)?MassiveSMS\()(?=[a-z])/g, `${python}, `],
    [/(?<=(?<!new )\b(?:Async)?MassiveSMS\()(?=\))/g, python],
    [/(?<=MassiveSMS::Client\.new)(?!\()/g, `(${ruby})`],
    [/(?<=\\MassiveSMS\\Client\()(?=\))/g, `[${php}]`],
    [/(?<=massivesms\.New\()""/g, go],
  ];
}
