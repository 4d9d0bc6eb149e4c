// The table of cases and doors, from what test/conformance/observations.ts has noted.
import { status as GRPC } from '@grpc/grpc-js';
import { DOOR_NAMES } from '../../dist-test/conformance/door.js';
import { NOTHING, table, unique } from './table.mjs';

const INTRODUCTION = `## Cases and doors

The same request through every door of a running server, as the tests of \`test/conformance\` have seen it.

- **API JSON**, **API media**, **API value**: an API over HTTP, with a body of JSON, of a media type of its own (\`text/plain\`, \`image/png\`, \`text/csv\`, \`multipart/form-data\`, raw tensors; streams as server-sent events), of \`application/vnd.jubako.value\`; streams of JSON are NDJSON.
- **OIP JSON**, **OIP binary**: the Open Inference Protocol over HTTP, without and with binary tensor data.
- **Bento Call**: BentoML's \`BentoService.Call\`; streams by \`jubako.v1.Jubako/CallStream\`.
- **OIP typed**, **OIP raw**: \`ModelInfer\` of the Open Inference Protocol over gRPC with typed and with raw contents; streams by \`ModelStreamInfer\`.

**same**: the answer is the same. A number or a name is the status of a refusal, whose code is that of the row in every place that has room for one; **in the stream**: the failure came behind values, or as an answer of its own. ${NOTHING}: the door does not lead there, or has no words for it (JSON for NaN, typed contents for FP16).`;

const SECTIONS = {
  answers: 'Answers',
  refusals: 'Values and streams that are refused',
  causes: 'What brings a row of the catalogue about',
  thrown: 'Codes that a handler or a model throws',
};

export function doorTables(observations) {
  const parts = Object.entries(SECTIONS).map(([section, title]) => {
    const seen = observations.filter((one) => one.section === section);
    const isRefusal = section !== 'answers';
    const keys = unique(seen.map(({ row, title: what }) => `${row}\n${what}`));
    const rows = keys.map((key) => {
      const [row, what] = key.split('\n');
      const cells = DOOR_NAMES.map((door) =>
        cellOf(seen.filter((one) => one.row === row && one.title === what && one.door === door)),
      );
      return [what, ...(isRefusal ? [`\`${row}\``] : []), ...cells];
    });
    return `### ${title}\n\n${table(['Case', ...(isRefusal ? ['Row'] : []), ...DOOR_NAMES], rows)}`;
  });
  return [INTRODUCTION, ...parts].join('\n\n');
}

/** One door may have been asked in several ways: all were answered alike. */
function cellOf(seen) {
  const cells = unique(seen.map(toCell));
  if (cells.length > 1) throw new Error(`"${seen[0].title}" at ${seen[0].door} is ${cells.join(' and ')}`);
  return cells[0] ?? NOTHING;
}

function toCell({ section, door, status }) {
  const isGrpc = ['Bento Call', 'OIP typed', 'OIP raw'].includes(door);
  const isOk = status === (isGrpc ? GRPC.OK : 200);
  if (isOk) return section === 'answers' ? 'same' : 'in the stream';
  return isGrpc ? GRPC[status] : String(status);
}
