import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import fc from 'fast-check';
import { ERROR_KINDS, JubakoError, type ErrorCode } from '#dist/errors.js';
import { STATUS_DETAILS_KEY, toStatus } from '#dist/grpc/status.js';

const PROTOS = loadSync('src/grpc/proto/google-rpc.proto', { keepCase: true, longs: Number, defaults: true });

type Decoded = Readonly<Record<string, unknown>>;

function decode(type: string, bytes: Buffer): Decoded {
  return (PROTOS[type] as MessageTypeDefinition<object, Decoded>).deserialize(bytes);
}

/** The details of an error by the name of their message, and the whole of it. */
function detailsOf(error: JubakoError): {
  readonly whole: Decoded;
  readonly byName: Readonly<Record<string, Decoded>>;
} {
  const [bytes] = toStatus(error, 'r-1').metadata.get(STATUS_DETAILS_KEY) as [Buffer];
  const whole = decode('google.rpc.Status', bytes);
  const anys = whole['details'] as readonly { readonly type_url: string; readonly value: Buffer }[];
  const byName = anys.map(({ type_url: url, value }) => {
    assert.match(url, /^type\.googleapis\.com\/google\.rpc\./);
    const name = url.slice(url.lastIndexOf('/') + 1);
    return [name.slice(name.lastIndexOf('.') + 1), decode(name, value)] as const;
  });
  return { whole, byName: Object.fromEntries(byName) };
}

/** As HTTP/2 counts a list of headers (RFC 9113, section 10.5.1). */
function headerBytes(error: JubakoError): number {
  const { code, details, metadata } = toStatus(error, 'x'.repeat(128));
  const headers = {
    ':status': 200,
    'content-type': 'application/grpc+proto',
    'grpc-status': code,
    'grpc-message': encodeURI(details),
    ...metadata.toHttp2Headers(),
  };
  return Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + String(value).length + 32, 0);
}

test('every failure says its code, its domain and the id of its request', () => {
  for (const code of Object.keys(ERROR_KINDS) as ErrorCode[]) {
    const { whole, byName } = detailsOf(new JubakoError(code, 'the message'));
    assert.equal(whole['code'], status[ERROR_KINDS[code].grpc]);
    assert.equal(whole['message'], toStatus(new JubakoError(code, 'the message'), 'r-1').details);
    assert.deepEqual(byName['ErrorInfo'], { reason: code, domain: 'jubako', metadata: { requestId: 'r-1' } });
  }
});

test('a failure that may pass says when to try again', () => {
  assert.deepEqual(detailsOf(new JubakoError('QUEUE_FULL', 'full')).byName['RetryInfo'], {
    retry_delay: { seconds: 1, nanos: 0 },
  });
  const error = new JubakoError('RATE_LIMITED', 'slowly', { retryAfterSeconds: 6.5 });
  assert.deepEqual(detailsOf(error).byName['RetryInfo'], { retry_delay: { seconds: 7, nanos: 0 } });
  assert.equal(detailsOf(new JubakoError('NOT_FOUND', 'nothing')).byName['RetryInfo'], undefined);
});

test('violations are told field by field', () => {
  const details = [
    { path: '/pixels/3', message: 'must be <= 16' },
    { path: '', message: 'must have 2 items' },
  ];
  assert.deepEqual(detailsOf(new JubakoError('INVALID_INPUT', 'no', { details })).byName['BadRequest'], {
    field_violations: [
      { field: '/pixels/3', description: 'must be <= 16' },
      { field: '', description: 'must have 2 items' },
    ],
  });
});

test('violations beyond what fits are left out and counted', () => {
  const details = Array.from({ length: 10_000 }, (_, i) => ({ path: `/pixels/${i}`, message: 'must be a number' }));
  const { byName } = detailsOf(new JubakoError('INVALID_INPUT', 'no', { details }));
  const { field_violations: told } = byName['BadRequest'] as { readonly field_violations: readonly unknown[] };
  assert.ok(told.length > 10);
  const { metadata } = byName['ErrorInfo'] as { readonly metadata: Decoded };
  assert.equal(Number(metadata['omittedViolations']), 10_000 - told.length);
});

test('other details travel as JSON where they are short', () => {
  const json = (details: unknown): unknown =>
    (detailsOf(new JubakoError('NOT_FOUND', 'no', { details })).byName['ErrorInfo']?.['metadata'] as Decoded)[
      'details'
    ];
  assert.equal(json({ known: ['a', 'b'] }), '{"known":["a","b"]}');
  assert.equal(json([{ path: '/a' }]), '[{"path":"/a"}]');
  assert.equal(json('x'.repeat(2000)), undefined);
  assert.equal(json({ count: 1n }), undefined);
});

test('what an internal failure says stays inside', () => {
  const error = new JubakoError('USER_CODE', 'password is 1234', {
    details: [{ path: '/secret', message: 'is 1234' }],
  });
  const [bytes] = toStatus(error, 'r-1').metadata.get(STATUS_DETAILS_KEY) as [Buffer];
  assert.doesNotMatch(bytes.toString('latin1'), /1234|secret/);
});

test('a failure is never more than the 8 KiB of headers that clients take', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 3000 }),
      fc.array(
        fc.record({
          path: fc.string({ unit: 'grapheme', maxLength: 500 }),
          message: fc.string({ unit: 'grapheme', maxLength: 1000 }),
        }),
        { maxLength: 40 },
      ),
      (message, details) => headerBytes(new JubakoError('QUEUE_FULL', message, { details })) <= 8192,
    ),
    { numRuns: 300 },
  );
  const worst = { details: Array.from({ length: 50 }, () => ({ path: '"'.repeat(999), message: '"'.repeat(999) })) };
  assert.ok(headerBytes(new JubakoError('RATE_LIMITED', '"'.repeat(5000), worst)) <= 8192);
});
