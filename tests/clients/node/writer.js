// Writes numbered values 500 times a second, or as the environment says, each after the answer to the one before; one line on standard output for each:
// what became of it, its number, and the time in microseconds since 1970.

"use strict";

// Milliseconds between two writes; the environment says seconds.
const PACE = Number(process.env.PACE ?? "0.002") * 1000;
// Applications that write to one master at once have prefixes of their own.
const PREFIX = process.env.KEY_PREFIX ?? "written";

const now = () => Math.floor((performance.timeOrigin + performance.now()) * 1000);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The master's name and the addresses of the Sentinels, from `NAME HOST:PORT...`. */
function readArguments() {
  const [name, ...addresses] = process.argv.slice(2);
  const sentinels = addresses.map((address) => {
    const colon = address.lastIndexOf(":");
    return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
  });
  return { name, sentinels };
}

/** Goes on until the process is ended. `set(key, value)` is the client's. */
async function write(set) {
  // A number whose outcome is unknown is never used again.
  for (let number = 0; ; number++) {
    const began = performance.now();
    try {
      await set(`${PREFIX}:${number}`, String(number));
      process.stdout.write(`ok ${number} ${now()}\n`);
    } catch (error) {
      const reason = `${error.name}: ${error.message}`.replace(/\s+/g, " ");
      process.stdout.write(`failed ${number} ${now()} ${reason}\n`);
    }
    await pause(Math.max(0, began + PACE - performance.now()));
  }
}

module.exports = { readArguments, write };
