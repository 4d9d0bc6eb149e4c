import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { admitCall, callerOf } from '#dist/grpc/access.js';
import { OPEN_ACCESS, type Access, type Caller } from '#dist/service/access.js';

test('callerOf reads the metadata and the address of the peer', () => {
  const metadata = new Metadata();
  metadata.set('authorization', 'Bearer abc');
  metadata.set('x-api-key', 'def');
  metadata.add('x-forwarded-for', '198.51.100.1');
  metadata.add('x-forwarded-for', '198.51.100.2');
  assert.deepEqual(callerOf(metadata, '203.0.113.7:51234'), {
    address: '203.0.113.7',
    forwardedFor: '198.51.100.1, 198.51.100.2',
    authorization: 'Bearer abc',
    apiKey: 'def',
  });
  const bare = { forwardedFor: undefined, authorization: undefined, apiKey: undefined };
  assert.deepEqual(callerOf(new Metadata(), '::1:51234'), { address: '::1', ...bare });
  assert.deepEqual(callerOf(new Metadata(), 'unknown'), { address: 'unknown', ...bare });
});

test('admitCall asks about every RPC but those of probes, and about none where everybody may call', () => {
  const asked: Caller[] = [];
  const access: Access = {
    isOpen: false,
    admit: (caller) => {
      asked.push(caller);
    },
  };
  const admit = (path: string, by = access): void => {
    assert.equal(admitCall(by, path, new Metadata(), '203.0.113.7:1'), undefined);
  };
  admit('/grpc.health.v1.Health/Check');
  admit('/grpc.health.v1.Health/Watch');
  admit('/inference.GRPCInferenceService/ServerReady');
  admit('/inference.GRPCInferenceService/ModelInfer', OPEN_ACCESS);
  assert.equal(asked.length, 0);
  admit('/inference.GRPCInferenceService/ModelInfer');
  admit('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo');
  assert.equal(asked.length, 2);
});
