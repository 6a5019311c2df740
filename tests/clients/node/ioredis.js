// ioredis with its defaults.

"use strict";

const { Redis } = require("ioredis");
const { readArguments, write } = require("./writer.js");

const { name, sentinels } = readArguments();
const master = new Redis({ name, sentinels });
// Without a listener an error of the connection would end the process; the writes report their own.
master.on("error", (error) => process.stderr.write(`${error.message}\n`));
write((key, value) => master.set(key, value));
