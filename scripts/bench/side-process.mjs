// A measuring process beside this one: the file that starts it is the file that runs in it.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onCore } from './cores.mjs';

/** Whether this process is one that `startSideProcess` started for that module. */
export function isSideProcess(moduleUrl) {
  return process.argv[2] === '--side' && process.argv[1] === fileURLToPath(moduleUrl);
}

/** @param core - that it runs on; default: any. @returns `ask(question)` → the answer, one at a time; `stop()`. */
export function startSideProcess(moduleUrl, core) {
  const [execPath, ...execArgv] = [...(core === undefined ? [] : onCore(core)), process.execPath];
  // 'advanced' lets request bodies travel as bytes
  const child = fork(fileURLToPath(moduleUrl), ['--side'], { execPath, execArgv, serialization: 'advanced' });
  let settle;
  child.on('message', ({ answer, error }) => {
    if (error === undefined) settle.resolve(answer);
    else settle.reject(new Error(error));
  });
  child.on('exit', (code) => settle?.reject(new Error(`${fileURLToPath(moduleUrl)} ended with code ${code}`)));
  return {
    ask(question) {
      return new Promise((resolve, reject) => {
        settle = { resolve, reject };
        child.send(question);
      });
    },
    stop() {
      child.kill('SIGTERM');
    },
  };
}

/** In the side process: answers each question; ends with the process that asks. */
export function answerQuestions(answerOf) {
  process.on('disconnect', () => process.exit(0));
  process.on('message', (question) => {
    answerOf(question).then(
      (answer) => process.send({ answer }),
      (thrown) => process.send({ error: thrown.message }),
    );
  });
}
