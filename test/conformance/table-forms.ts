import type { Body, Form, Given } from './forms.js';
import { textForm } from './media-forms.js';
import type { Message } from './protobuf-values.js';

// Tables, and forms of several values of any kind.

type ColumnType = 'string' | 'bool' | 'int32' | 'int64' | 'float32' | 'float64';
type Cell = string | boolean | number | bigint;
/** Column name → its values; 64-bit integers as bigint. */
export type Columns = Readonly<Record<string, readonly Cell[]>>;

const SERIES: Readonly<Record<ColumnType, string>> = {
  string: 'string_values',
  bool: 'bool_values',
  int32: 'int32_values',
  int64: 'int64_values',
  float32: 'float_values',
  float64: 'double_values',
};

const FROM_TEXT: Readonly<Record<ColumnType, (text: string) => Cell>> = {
  string: (text) => text,
  bool: (text) => text === 'true',
  int32: Number,
  int64: BigInt,
  float32: Number,
  float64: Number,
};

/** Of columns whose texts need no quotes in CSV. */
export function tableForm(types: Readonly<Record<string, ColumnType>>): Form<Columns> {
  const names = Object.keys(types);
  const columnsOf = (columns: Readonly<Record<string, readonly unknown[]>>): unknown =>
    Object.fromEntries(names.map((name) => [name, (columns[name] ?? []).map((cell) => toSame(types, name, cell))]));
  const rowsOf = (rows: readonly Readonly<Record<string, unknown>>[]): unknown =>
    columnsOf(Object.fromEntries(names.map((name) => [name, rows.map((row) => row[name])])));
  const given = (value: Columns): readonly string[] => Object.keys(value);
  return {
    same: columnsOf,
    toJson: (value) =>
      (Object.values(value)[0] ?? []).map((_, row) =>
        Object.fromEntries(given(value).map((name) => [name, toJsonCell(value[name]?.[row])])),
      ),
    sameOfJson: (json) => rowsOf(json as Readonly<Record<string, unknown>>[]),
    toPlain: (value) => Object.fromEntries(given(value).map((name) => [name, value[name]?.map(toJsonCell)])),
    sameOfPlain: (plain) => columnsOf(plain as Readonly<Record<string, readonly unknown[]>>),
    toContent: (value) => ({
      dataframe: {
        column_names: given(value),
        columns: given(value).map((name) => ({ [SERIES[types[name] ?? 'float64']]: value[name]?.map(toWireCell) })),
      },
    }),
    sameOfContent: ({ dataframe }) => {
      const { column_names: found, columns } = dataframe as {
        readonly column_names: readonly string[];
        readonly columns: readonly Readonly<Record<string, readonly unknown[]>>[];
      };
      const lists = found.map((name, i) => [name, columns[i]?.[SERIES[types[name] as ColumnType]] ?? []] as const);
      return columnsOf(Object.fromEntries(lists));
    },
    media: {
      accept: 'text/csv',
      toBody: (value) => ({ headers: { 'content-type': 'text/csv' }, bytes: Buffer.from(toCsv(value)) }),
      sameOfBody: ({ bytes }) => {
        const [head = '', ...lines] = bytes.toString('utf8').trimEnd().split(/\r?\n/);
        const found = head.split(',');
        return rowsOf(
          lines.map((line) => {
            const cells = line.split(',').map((text, i) => FROM_TEXT[types[found[i] ?? ''] as ColumnType](text));
            return Object.fromEntries(cells.map((cell, i) => [found[i] ?? '', cell]));
          }),
        );
      },
    },
  };
}

function toSame(types: Readonly<Record<string, ColumnType>>, name: string, cell: unknown): unknown {
  return types[name] === 'int64' ? String(cell) : cell;
}

function toJsonCell(cell: Cell | undefined): unknown {
  if (typeof cell !== 'bigint') return cell;
  return Number.isSafeInteger(Number(cell)) ? Number(cell) : String(cell);
}

function toWireCell(cell: Cell): unknown {
  return typeof cell === 'bigint' ? String(cell) : cell;
}

function toCsv(value: Columns): string {
  const rows = (Object.values(value)[0] ?? []).map((_, row) => Object.values(value).map((cells) => String(cells[row])));
  return [Object.keys(value), ...rows].map((cells) => `${cells.join(',')}\r\n`).join('');
}

/** What each part is given; a part that a case leaves out on purpose is not there. */
export type Parts = Readonly<Record<string, Given>>;

const FORM_TYPE = 'multipart/form-data';

export function partsForm(forms: Readonly<Record<string, Form>>): Form<Parts> {
  const written = <T>(parts: Parts, write: (part: Given) => T): Readonly<Record<string, T>> =>
    Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, write(part)]));
  const read = async (
    values: Readonly<Record<string, unknown>>,
    same: (form: Form, value: never) => unknown,
  ): Promise<unknown> => {
    const entries = Object.entries(values).map(
      async ([name, value]) => [name, await same(forms[name] as Form, value as never)] as const,
    );
    return Object.fromEntries(await Promise.all(entries));
  };
  return {
    same: (parts) => written(parts, (part) => part.same),
    toJson: (parts) => written(parts, ({ form, value }) => form.toJson(value)),
    sameOfJson: (json) => read(json as Message, (form, value) => form.sameOfJson(value)),
    toPlain: (parts) => written(parts, ({ form, value }) => form.toPlain(value)),
    sameOfPlain: (plain) => read(plain as Message, (form, value) => form.sameOfPlain(value)),
    toContent: (parts) => ({ multipart: { fields: written(parts, ({ form, value }) => form.toContent(value)) } }),
    sameOfContent: ({ multipart }) =>
      read((multipart as { readonly fields: Message }).fields, (form, value) => form.sameOfContent(value)),
    media: {
      accept: FORM_TYPE,
      toBody: (parts) => {
        const pieces = Object.entries(parts).map(([name, part]) => toPart(name, part));
        const bytes = Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)]);
        return { headers: { 'content-type': `${FORM_TYPE}; boundary=${BOUNDARY}` }, bytes };
      },
      sameOfBody: async ({ headers, bytes }) => {
        const form = await new Response(Uint8Array.from(bytes), { headers }).formData();
        return read(Object.fromEntries(form), async (kind, part: string | File) => {
          if (typeof part === 'string') return kind === textForm ? part : kind.sameOfJson(JSON.parse(part));
          const body = Buffer.from(await part.arrayBuffer());
          const disposition = { 'content-disposition': `attachment; filename="${part.name}"` };
          return kind.media?.sameOfBody({ headers: { 'content-type': part.type, ...disposition }, bytes: body });
        });
      },
    },
  };
}

const BOUNDARY = 'between-the-parts';

function toPart(name: string, { form, value }: Given): Buffer {
  const { headers, bytes } = partOf(form, value);
  const [, fileName] = /filename="([^"]*)"/.exec(headers['content-disposition'] ?? '') ?? [];
  const file = fileName === undefined ? '' : `; filename="${fileName}"`;
  const head = [
    `--${BOUNDARY}`,
    `Content-Disposition: form-data; name="${name}"${file}`,
    `Content-Type: ${headers['content-type'] ?? ''}`,
    '\r\n',
  ];
  return Buffer.concat([Buffer.from(head.join('\r\n')), bytes, Buffer.from('\r\n')]);
}

/** Tensors and tables go as JSON, which needs no labels. */
function partOf(form: Form, value: unknown): Body {
  const isJson = form.media === undefined || form.model !== undefined || form.media.accept === 'text/csv';
  if (form.media !== undefined && !isJson) return form.media.toBody(value);
  return {
    headers: { 'content-type': 'application/json' },
    bytes: Buffer.from(JSON.stringify(form.toJson(value))),
  };
}
