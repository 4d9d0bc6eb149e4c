// Writes what follows from the code: config/default.yaml from the settings' schema, and in Markdown files the tables of
// settings and errors between their markers (<!-- settings:start --> … <!-- settings:end -->). Usage: node scripts/write-docs.mjs [--check] [FILE.md …]; --check writes nothing and fails where something
// is out of date. Needs a build.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { formatDefault } from '../dist/config/flags.js';
import { COMMAND_NAMES, SETTINGS } from '../dist/config/schema.js';
import { ERROR_KINDS } from '../dist/errors.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DEFAULTS = resolve(ROOT, 'config/default.yaml');
const TABLES = { settings: renderSettings, errors: renderErrors };

const args = process.argv.slice(2);
const check = args.includes('--check');
const named = args.filter((arg) => arg !== '--check');
const pages =
  named.length > 0
    ? named.map((file) => resolve(file))
    : ['README.md', 'ARCHITECTURE.md'].map((file) => resolve(ROOT, file));

const outdated = [];
await put(DEFAULTS, renderDefaults());
for (const page of pages) {
  const before = existsSync(page) ? readFileSync(page, 'utf8') : '';
  const after = Object.entries(TABLES).reduce((text, [name, render]) => insert(text, name, render()), before);
  if (after !== before) await put(page, after);
}
if (outdated.length > 0) {
  process.stderr.write(`Out of date: ${outdated.join(', ')}; run npm run docs\n`);
  process.exitCode = 1;
}

/** A page that lacks the markers stays as it is. */
function insert(page, name, table) {
  const marker = `<!-- ${name}:start -->`;
  const [start, end] = [page.indexOf(marker), page.indexOf(`<!-- ${name}:end -->`)];
  return start < 0 || end < start ? page : `${page.slice(0, start + marker.length)}\n\n${table}\n\n${page.slice(end)}`;
}

async function put(file, content) {
  const text = await format(content, { ...(await resolveConfig(resolve(ROOT, 'package.json'))), filepath: file });
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
  if (check) outdated.push(relative(ROOT, file));
  else writeFileSync(file, text);
}

function renderDefaults() {
  const head = [
    '# Every setting with its default, as jubako serve has it. Written by scripts/write-docs.mjs from src/config/schema.ts.',
    '# A file for --config, or the jubako.yaml of a target, needs only what differs. Relative paths are relative to the file.',
  ].join('\n');
  const rows = SETTINGS.map((setting) => {
    const own = COMMAND_NAMES.filter((name) => setting.defaultOf?.[name] !== undefined);
    const others = own.map((name) => `${name}: ${formatDefault(setting, name)}`).join(', ');
    const lines = [
      setting.doc,
      `${flagOf(setting)}, ${setting.env}`,
      ...(others === '' ? [] : [`Other defaults: ${others}`]),
    ];
    return [...lines.map((line) => `# ${line}`), `${setting.name}: ${JSON.stringify(setting.default)}`].join('\n');
  });
  return `${[head, ...rows].join('\n\n')}\n`;
}

function renderErrors() {
  const head = ['| Code | HTTP | gRPC | Retry-After | Exit code |', '| --- | --- | --- | --- | --- |'];
  const rows = Object.entries(ERROR_KINDS).map(([code, { http, grpc, retryAfterSeconds, exit }]) => {
    const retry = retryAfterSeconds === undefined ? '' : `${retryAfterSeconds} s`;
    return `| \`${code}\` | ${http} | \`${grpc}\` | ${retry} | ${exit} |`;
  });
  return [...head, ...rows].join('\n');
}

function renderSettings() {
  const head = [
    '| Setting | Flag | Variable | Default | Commands | Meaning |',
    '| --- | --- | --- | --- | --- | --- |',
  ];
  const rows = SETTINGS.map((setting) => {
    const cells = [
      `\`${setting.name}\``,
      `\`${flagOf(setting)}\``,
      `\`${setting.env}\``,
      defaultsOf(setting),
      commandsOf(setting),
      setting.doc,
    ];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return [...head, ...rows].join('\n');
}

function flagOf(setting) {
  if (setting.sensitive === true) return `--${setting.flag}-file`;
  return setting.format.placeholder === '' ? `--[no-]${setting.flag}` : `--${setting.flag}`;
}

function defaultsOf(setting) {
  const own = COMMAND_NAMES.filter((name) => setting.defaultOf?.[name] !== undefined);
  return [formatDefault(setting, 'serve'), ...own.map((name) => `${formatDefault(setting, name)} (${name})`)].join(
    ', ',
  );
}

function commandsOf(setting) {
  return setting.commands.length === COMMAND_NAMES.length ? 'all' : setting.commands.join(', ');
}
