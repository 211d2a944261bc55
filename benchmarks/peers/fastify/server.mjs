// Fastify with pg, prepared statements and JSON schemas.
import Fastify from "fastify";
import pg from "pg";

const SHOWN =
  "id, sku, name, description, price, stock, status, tags, attributes, shelf_id, created_at, updated_at, " +
  "created_by, updated_by, version";
const STATEMENTS = {
  read: `SELECT ${SHOWN} FROM tests_article WHERE id = $1 AND deleted_at IS NULL`,
  list: `SELECT ${SHOWN} FROM tests_article WHERE deleted_at IS NULL AND status = $1 ORDER BY price, id LIMIT $2`,
  create:
    "INSERT INTO tests_article (id, sku, name, price, stock, description, status, tags, attributes, shelf_id, " +
    "created_by, updated_by) VALUES (gen_random_uuid(), $1, $2, $3, $4, '', 'draft', '{}', '{}', $5, 'bench', " +
    `'bench') RETURNING ${SHOWN}`,
  update:
    "UPDATE tests_article SET stock = $3, version = version + 1, updated_at = now() " +
    `WHERE id = $1 AND version = $2 AND deleted_at IS NULL RETURNING ${SHOWN}`,
};
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 8 });

async function run(name, ...values) {
  return (await pool.query({ name, text: STATEMENTS[name], values })).rows;
}

const text = { type: "string" };
const instant = { type: "string", format: "date-time" };
const item = {
  type: "object",
  properties: {
    id: text, sku: text, name: text, description: text, price: text, stock: { type: "integer" }, status: text,
    tags: { type: "array", items: text }, attributes: { type: "object", additionalProperties: true },
    shelf_id: text, created_at: instant, updated_at: instant, created_by: text, updated_by: text,
    version: { type: "integer" },
  },
};
const stock = { type: "integer", minimum: 0 };
const given = {
  type: "object",
  required: ["sku", "name", "price", "shelf_id"],
  properties: {
    sku: { type: "string", maxLength: 40 }, name: { type: "string", maxLength: 200 },
    price: { type: "string", pattern: "^[0-9]+(\\.[0-9]{1,2})?$" }, stock, shelf_id: { type: "string", format: "uuid" },
  },
};
const change = { type: "object", required: ["stock"], properties: { stock } };
const page = { type: "object", properties: { items: { type: "array", items: item } } };
const app = Fastify();

function answer(reply, status, rows, absent) {
  if (rows.length === 0) return reply.code(absent).send({});
  return reply.code(status).header("etag", `"${rows[0].version}"`).send(rows[0]);
}

app.get("/api/v1/articles/:id", { schema: { response: { 200: item } } }, async (request, reply) =>
  answer(reply, 200, await run("read", request.params.id), 404));
app.get("/api/v1/articles", { schema: { response: { 200: page } } }, async (request) => (
  { items: await run("list", request.query.status, Number(request.query.limit)) }));
app.post("/api/v1/articles", { schema: { body: given, response: { 201: item } } }, async (request, reply) => {
  const { sku, name, price, stock, shelf_id } = request.body;
  return answer(reply, 201, await run("create", sku, name, price, stock ?? 0, shelf_id), 500);
});
app.patch("/api/v1/articles/:id", { schema: { body: change, response: { 200: item } } }, async (request, reply) => {
  const version = Number(request.headers["if-match"].replaceAll('"', ""));
  return answer(reply, 200, await run("update", request.params.id, version, request.body.stock), 412);
});

await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
