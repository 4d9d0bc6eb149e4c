import type { SecureVersion } from 'node:tls';
import type { ServerConfig } from '../config/settings.js';
import type { EntryPoint, Manifest } from './manifest.js';

/** Names of processes: `http` and `grpc` serve clients, `runner` serves models, `describer` answers once and ends. */
export type WorkerRole = 'http' | 'grpc' | 'runner' | 'describer';

/** In the environment at fork, as JSON under `JUBAKO_WORKER`: who the process is. Everything else comes with `boot`. */
export interface WorkerIdentity {
  readonly role: WorkerRole;
  /** For logs and metrics: `http-0`, `runner-digits-1`. */
  readonly name: string;
}

/** First message to a worker that serves. Secrets travel here, never in the environment or on the command line. */
export interface WorkerBoot {
  readonly config: ServerConfig;
  readonly entry: EntryPoint;
  readonly manifest: Manifest;
  readonly workingDir: string;
  readonly runtimeDir: string;
  readonly tls: TlsMaterial | null;
  /** PEM of `sslCaCerts`: authorities whose runners behind `tls://` are believed. */
  readonly trustedCa: string | null;
  /** For a runner worker: what it serves and on what; null: an API worker. */
  readonly runner: RunnerBoot | null;
  /** For an API worker: the runners that live in it. */
  readonly embedded: readonly EmbeddedRunner[];
  /** As in the message `runnerMap`. */
  readonly unloaded: UnloadedRunners;
  /** For an API worker. */
  readonly mounts: MountsBoot;
}

/** Runners that were unloaded on request → why they are, for people. */
export type UnloadedRunners = Readonly<Record<string, string>>;

export interface MountsBoot {
  /** Path of a mount → `http://host:port` of its application. */
  readonly urls: Readonly<Record<string, string>>;
  /** As in the message `mounts`. */
  readonly starting: readonly string[];
}

export interface RunnerBoot {
  readonly name: string;
  /** Where it listens; null: connections are handed in by the primary. */
  readonly socketPath: string | null;
  /** Number of this worker among those of its runner, from 0. */
  readonly worker: number;
  /** CPUs for the arithmetic of each compute thread. */
  readonly cpus: number;
  /** What CUDA_VISIBLE_DEVICES was set to by the plan; null: by nobody but the environment. */
  readonly device: string | null;
}

export interface EmbeddedRunner {
  readonly name: string;
  /** CPUs for the arithmetic of each compute thread. */
  readonly cpus: number;
}

/** First message to the describer. */
export interface DescriberBoot {
  readonly target: string;
  /** The key `service` of the target folder's jubako.yaml. */
  readonly serviceFile: string | null;
  readonly workingDir: string;
  readonly runtimeDir: string;
  /** True: a model of a repository that cannot be described is an error; false: it is left out, with a warning. */
  readonly strict: boolean;
}

/** The seven ssl settings, read: strings only, so that it crosses IPC. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly passphrase: string | null;
  readonly ca: string | null;
  readonly clientCertificate: 'none' | 'optional' | 'required';
  readonly minVersion: SecureVersion | null;
  readonly ciphers: string | null;
  /** Base64 of 48 bytes: the same in all workers, so that a session resumes on any of them. */
  readonly ticketKeys: string;
}
