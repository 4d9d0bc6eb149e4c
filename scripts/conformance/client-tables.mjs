// The tables of clients and operations, from the lines of test/clients/python/report.py.
import { readFileSync, readdirSync } from 'node:fs';
import { NOTHING, table, unique } from './table.mjs';

const REQUIREMENTS = new URL('../../test/clients/requirements/', import.meta.url);

const INTRODUCTION = `## Clients and operations

What clients that others have written can do with a running server, unchanged: \`npm run clients\` installs them and runs these cases.

**pass**: it works, or is refused as it should be, by the client's own exception with the message of the server. **client**: the client fails by itself, whatever the server; why stands below. ${NOTHING}: not tried; most such clients have no such operation.`;

/** Which clients stand in a table together, by the beginnings of their names. */
const FAMILIES = {
  'Open Inference Protocol': ['tritonclient', 'kserve'],
  BentoML: ['BentoML'],
  OpenAPI: ['openapi'],
};

export function clientTables(lines) {
  const parts = Object.entries(FAMILIES).map(([title, beginnings]) => {
    const family = lines.filter(({ client }) => beginnings.some((beginning) => client.startsWith(beginning)));
    const clients = unique(family.map(({ client }) => client));
    const rows = unique(family.map((line) => line.case)).map((name) => {
      const cells = clients.map((client) =>
        toCell(family.filter((line) => line.client === client && line.case === name)),
      );
      return [name, ...cells];
    });
    return [`### ${title}`, table(['Case', ...clients], rows), bugsOf(family)]
      .filter((part) => part !== '')
      .join('\n\n');
  });
  return [INTRODUCTION, versions(), ...parts].join('\n\n');
}

function toCell([line]) {
  if (line === undefined) return NOTHING;
  return line.bug === undefined ? 'pass' : 'client';
}

function bugsOf(lines) {
  const bugs = lines.filter(({ bug }) => bug !== undefined);
  const reasons = unique(bugs.map(({ client, bug }) => `${client}: ${bug}`));
  return reasons
    .map((reason) => {
      const cases = bugs.filter(({ client, bug }) => `${client}: ${bug}` === reason).map((line) => line.case);
      return `- ${reason} (${unique(cases).join(', ')}).`;
    })
    .join('\n');
}

/** Those that are held, as they are installed. */
function versions() {
  const pins = readdirSync(REQUIREMENTS)
    .sort()
    .flatMap((file) => readFileSync(new URL(file, REQUIREMENTS), 'utf8').match(/^\w[^<\s]*==\S+$/gm) ?? []);
  const wanted = /^(?:tritonclient|kserve|bentoml|openapi-spec-validator|numpy|grpcio|protobuf)\b(?!-)/;
  return `Versions: ${unique(pins.filter((pin) => wanted.test(pin)))
    .map((pin) => `\`${pin}\``)
    .join(', ')}.`;
}
