// Starts Redis Commander with passwords from files. The image's entry point would pass the Redis password as an argument,
// visible in the process list.
const read = (name) => { try { return require("fs").readFileSync(`/run/secrets/tool/${name}`, "utf8").trim() } catch { return "" } };
const redis = {label: "redis", host: process.env.REDIS_AT, port: process.env.REDIS_AT_PORT, password: read("redis-password"), dbIndex: 0};
process.env.NODE_CONFIG = JSON.stringify({noSave: true, connections: [redis], server: {httpAuth: {username: "admin", password: read("password")}}});
require(`${process.env.REDIS_COMMANDER || "/redis-commander"}/bin/redis-commander.js`);
