import type { Client, ClientCallOptions, ClientOptions, TypedService } from './client-types.js';
import { RemoteService, type AnyAnswer } from './remote-service.js';

type Method = (input: unknown, options?: ClientCallOptions) => AnyAnswer;

/**
 * A client with a method for each API of a service, typed from the service's own definition; nothing of the service is imported:
 *
 *     import type service from './service.js';
 *     const client = createClient<typeof service>('http://host:3000');
 *     const digit = await client.classify(tensorOf('float32', [1, 64], pixels));
 *
 * Tensors travel in binary. Which APIs the server has is read from its `/docs.json` with the first call.
 * @param url - where the server answers, with the path that it is mounted under, if any; in a page also relative to it.
 * @throws {ClientError} INVALID_INPUT - names the option, its value, and what was wanted.
 */
export function createClient<S extends TypedService>(url: string | URL, options: ClientOptions = {}): Client<S> {
  const service = new RemoteService(url, options);
  const methods = new Map<string, Method>();
  const methodOf = (api: string): Method => {
    let method = methods.get(api);
    if (method === undefined) {
      method = (input, callOptions) => service.call(api, input, callOptions);
      methods.set(api, method);
    }
    return method;
  };
  const own = {
    $call: (api: string, input: unknown, callOptions?: ClientCallOptions): AnyAnswer =>
      service.call(api, input, callOptions),
  };
  return new Proxy(Object.freeze(own), {
    get(target, name, receiver) {
      if (typeof name === 'string' && !isReserved(name) && !(name in target)) return methodOf(name);
      return Reflect.get(target, name, receiver) as unknown;
    },
  }) as unknown as Client<S>;
}

/** What others look for in any object, to await it, to print it: `ReservedName` for what `in` does not find. */
function isReserved(name: string): boolean {
  return name === 'then' || name === 'toJSON';
}
