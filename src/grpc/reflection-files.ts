import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';

// What the loader knows of .proto files, mended, since strict clients such as grpcurl refuse it as it is. Each repair leaves
// alone what a later version of the loader may get right.
// F1 Imports are missing (grpc-node issues 2595, 3034): those that the types in use need are added.
// F2 The messages behind map fields have to be named after them with "Entry" at the end (grpcurl issue 519).
// F3 Reserved ranges end one too early, which makes those of one number invalid (protobufjs pull request 2277). No client
//    needs them: they are left out.
// F4 The loader makes one file per package out of each load. Loads that share a package share the file: it has what any of
//    them has.

/** FileDescriptorProto of google/protobuf/descriptor.proto, as far as it is mended; the loader has that file built in. */
interface FileDescriptor {
  readonly name?: string;
  readonly package?: string;
  dependency?: string[];
  messageType?: readonly MessageDescriptor[];
  enumType?: readonly Named[];
  service?: readonly ServiceDescriptor[];
  extension?: readonly FieldDescriptor[];
}

interface Named {
  name?: string;
}

interface MessageDescriptor extends Named {
  readonly field?: readonly FieldDescriptor[];
  readonly nestedType?: readonly MessageDescriptor[];
  readonly enumType?: readonly Named[];
  readonly options?: { readonly mapEntry?: boolean };
  reservedRange?: unknown[];
}

interface FieldDescriptor extends Named {
  typeName?: string;
  readonly extendee?: string;
}

interface ServiceDescriptor extends Named {
  readonly method?: readonly { readonly inputType?: string; readonly outputType?: string }[];
}

type FileCodec = MessageTypeDefinition<FileDescriptor, FileDescriptor>;

/** FileDescriptorProtos as they come out of any number of loads → each file once, mended. */
export function mendFiles(files: Iterable<Buffer>): Buffer[] {
  const codec = loadSync('google/protobuf/descriptor.proto')['google.protobuf.FileDescriptorProto'] as FileCodec;
  const byName = new Map<string, FileDescriptor>();
  for (const bytes of files) {
    const file = codec.deserialize(bytes);
    file.messageType?.forEach(mendMessage);
    const { name = '' } = file;
    byName.set(name, merge(byName.get(name), file));
  }
  const symbols = new Map<string, string>();
  for (const file of byName.values()) addSymbols(symbols, file.package ?? '', file, file.name ?? '');
  return [...byName.values()].map((file) => {
    const { dependency = [] } = file;
    if (dependency.length === 0) file.dependency = importsOf(file, symbols); // F1
    return codec.serialize(file);
  });
}

/** F4 */
function merge(known: FileDescriptor | undefined, more: FileDescriptor): FileDescriptor {
  if (known === undefined) return more;
  return {
    ...known,
    dependency: [...new Set([...(known.dependency ?? []), ...(more.dependency ?? [])])],
    messageType: union(known.messageType, more.messageType),
    enumType: union(known.enumType, more.enumType),
    service: union(known.service, more.service),
    extension: union(known.extension, more.extension),
  };
}

function union<T extends Named>(known: readonly T[] = [], more: readonly T[] = []): T[] {
  const names = new Set(known.map(({ name }) => name));
  return [...known, ...more.filter(({ name }) => !names.has(name))];
}

function mendMessage(message: MessageDescriptor): void {
  message.reservedRange = []; // F3
  for (const nested of message.nestedType ?? []) {
    if (nested.options?.mapEntry === true) nameMapEntry(message, nested);
    else mendMessage(nested);
  }
}

/** F2 */
function nameMapEntry(message: MessageDescriptor, entry: MessageDescriptor): void {
  const field = message.field?.find((one) => one.typeName === entry.name);
  if (field?.name === undefined) return;
  const name = `${field.name.replace(/(?:^|_)(.)/g, (_, first: string) => first.toUpperCase())}Entry`;
  entry.name = name;
  field.typeName = name;
}

type Scope = Pick<FileDescriptor, 'messageType' | 'enumType'>;

/** Full name of each message and enum → name of the file that has it. */
function addSymbols(symbols: Map<string, string>, scope: string, { messageType, enumType }: Scope, file: string): void {
  for (const { name = '' } of enumType ?? []) symbols.set(join(scope, name), file);
  for (const message of messageType ?? []) {
    const name = join(scope, message.name ?? '');
    symbols.set(name, file);
    addSymbols(symbols, name, scopeOf(message), file);
  }
}

function importsOf(file: FileDescriptor, symbols: ReadonlyMap<string, string>): string[] {
  const imports = new Set<string>();
  const scope = file.package ?? '';
  const use = (type: string | undefined, from: string): void => {
    const found = type === undefined ? undefined : fileOf(type, from, symbols);
    if (found !== undefined && found !== file.name) imports.add(found);
  };
  const useFields = (fields: readonly FieldDescriptor[] | undefined, from: string): void => {
    for (const { typeName, extendee } of fields ?? []) {
      use(typeName, from);
      use(extendee, from);
    }
  };
  const useMessages = (messages: readonly MessageDescriptor[] | undefined, from: string): void => {
    for (const message of messages ?? []) {
      const name = join(from, message.name ?? '');
      useFields(message.field, name);
      useMessages(message.nestedType, name);
    }
  };
  useMessages(file.messageType, scope);
  useFields(file.extension, scope);
  for (const { method } of file.service ?? []) {
    for (const { inputType, outputType } of method ?? []) {
      use(inputType, scope);
      use(outputType, scope);
    }
  }
  return [...imports];
}

/** A type is looked for from the innermost scope outwards, unless it begins with a dot. */
function fileOf(type: string, from: string, symbols: ReadonlyMap<string, string>): string | undefined {
  if (type.startsWith('.')) return symbols.get(type.slice(1));
  for (let scope = from; scope !== ''; scope = scope.slice(0, Math.max(0, scope.lastIndexOf('.')))) {
    const found = symbols.get(join(scope, type));
    if (found !== undefined) return found;
  }
  return symbols.get(type);
}

function scopeOf({ nestedType, enumType }: MessageDescriptor): Scope {
  return { ...(nestedType !== undefined && { messageType: nestedType }), ...(enumType !== undefined && { enumType }) };
}

function join(scope: string, name: string): string {
  return scope === '' ? name : `${scope}.${name}`;
}
