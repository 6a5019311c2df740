// node-redis with the defaults of its Sentinel client.

"use strict";

const { createSentinel } = require("redis");
const { readArguments, write } = require("./writer.js");

async function main() {
  const { name, sentinels } = readArguments();
  const master = createSentinel({ name, sentinelRootNodes: sentinels });
  // Without a listener an error of the connection would end the process; the writes report their own.
  master.on("error", (error) => process.stderr.write(`${error.message}\n`));
  await master.connect();
  await write((key, value) => master.set(key, value));
}

main();
