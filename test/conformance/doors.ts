import type { Door, DoorForm, Protocol } from './door.js';
import { Given } from './forms.js';
import type { GrpcClients } from './grpc-clients.js';
import { grpcDoors } from './grpc-doors.js';
import { httpDoors } from './http-doors.js';
import { givenOf } from './tensor-forms.js';

/** The doors of one server, in the order of `DOOR_NAMES`. */
export function openDoors(http: string, clients: GrpcClients): readonly Door[] {
  return [
    ...httpDoors(http).map((door) => open(door, 'http')),
    ...grpcDoors(clients).map((door) => open(door, 'grpc')),
  ];
}

function open({ name, leadsTo, ask }: DoorForm, protocol: Protocol): Door {
  const toGiven = (value: unknown): Given => (value instanceof Given ? value : givenOf(value));
  return {
    name,
    protocol,
    leadsTo: (target, value) => leadsTo(target, toGiven(value)),
    ask: (target, value, options = {}) => ask(target, toGiven(value), options),
  };
}
