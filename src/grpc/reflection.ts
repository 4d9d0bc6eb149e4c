import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { loadSync, type AnyDefinition, type MessageTypeDefinition, type PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';

// The reflection services. What the loader knows of the .proto files is mended first, since strict clients such as grpcurl
// refuse it as it is. Each repair leaves alone what a later version of the loader may get right.
// F1 Imports are missing (grpc-node issues 2595, 3034). The loader makes one file per package, so that the only imports
//    that are needed are those of Google's.
// F2 The messages behind map fields have to be named after them with "Entry" at the end (grpcurl issue 519).
// F3 Reserved ranges end one too early, which makes those of one number invalid (protobufjs pull request 2277). No client
//    needs them: they are left out.

const GOOGLE_FILE = 'google_protobuf.proto';
const GOOGLE_TYPE = 'google.protobuf.';

/** FileDescriptorProto of google/protobuf/descriptor.proto, as far as it is mended; the loader has that file built in. */
interface FileDescriptor {
  readonly name?: string;
  dependency?: string[];
  readonly messageType?: readonly MessageDescriptor[];
}

interface MessageDescriptor {
  name?: string;
  readonly field?: readonly FieldDescriptor[];
  readonly nestedType?: readonly MessageDescriptor[];
  readonly options?: { readonly mapEntry?: boolean };
  reservedRange?: unknown[];
}

interface FieldDescriptor {
  readonly name?: string;
  typeName?: string;
}

export type AddService = (service: ServiceDefinition, implementation: UntypedServiceImplementation) => void;

/** Adds the reflection services v1 and v1alpha, which tell of the named services and of all messages of `protos`. */
export function addReflection(protos: PackageDefinition, services: string[], addService: AddService): void {
  new ReflectionService(mended(protos), { services }).addToServer({ addService });
}

/** One definition out of `protos`, with all of its files, mended. */
function mended(protos: PackageDefinition): PackageDefinition {
  const entry = Object.entries(protos).find(hasFiles);
  if (entry === undefined) throw new TypeError('Cannot find the files of the loaded .proto definitions');
  const [name, definition] = entry;
  const codec = loadSync('google/protobuf/descriptor.proto')[
    'google.protobuf.FileDescriptorProto'
  ] as MessageTypeDefinition<FileDescriptor, FileDescriptor>;
  const fileDescriptorProtos = definition.fileDescriptorProtos.map((bytes) => {
    const file = codec.deserialize(bytes);
    if (bytes.includes(GOOGLE_TYPE) && file.name !== GOOGLE_FILE) {
      const { dependency = [] } = file;
      if (dependency.length === 0) file.dependency = [GOOGLE_FILE]; // F1
    }
    file.messageType?.forEach(mendMessage);
    return codec.serialize(file);
  });
  return { [name]: { ...definition, fileDescriptorProtos } };
}

type MessageDefinition = MessageTypeDefinition<object, object>;

/** Every message carries all files of its load; services carry none. */
function hasFiles(entry: [string, AnyDefinition]): entry is [string, MessageDefinition] {
  return 'fileDescriptorProtos' in entry[1];
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
