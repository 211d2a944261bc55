// Every operation through openapi-typescript and openapi-fetch. A type that is missing or `unknown` does not compile.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Article = components["schemas"]["ArticleRead"];
type Problem = components["schemas"]["Problem"];

const [url, key, mark] = process.argv.slice(2) as [string, string, string];
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });

async function ok<T>(call: Promise<{ data?: T; error?: Problem; response: Response }>) {
  const { data, error, response } = await call;
  assert.equal(error, undefined, JSON.stringify(error));
  return { data: data as T, tag: response.headers.get("etag") ?? "", status: response.status };
}

async function refused(call: Promise<{ error?: Problem; response: Response }>): Promise<Problem> {
  const { error } = await call;
  assert.ok(error);
  return error;
}

const id = (id: string) => ({ path: { id } });
const guarded = (id: string, tag: string) => ({ path: { id }, header: { "If-Match": tag } });

async function keys() {
  const made = await ok(client.POST("/api/v1/keys", { body: { name: mark, scopes: ["shop:read"] } }));
  const { items } = (await ok(client.GET("/api/v1/keys"))).data;
  assert.ok(items.some((one) => one.prefix === made.data.prefix && one.name === mark));
  await ok(client.DELETE("/api/v1/keys/{prefix}", { params: { path: { prefix: made.data.prefix } } }));
}

async function features() {
  const one = "/api/v1/feature-flags/{name}";
  const path = { name: "greeting" };
  const flag = await ok(client.GET(one, { params: { path } }));
  assert.equal(flag.data.default, "hello");
  const change = {
    params: { path, header: { "If-Match": flag.tag } },
    body: { value: mark, rules: [{ value: "hi", percent: 25 }] },
  };
  const set = await ok(client.PUT(one, change));
  assert.equal((await refused(client.PUT(one, change))).code, "precondition_failed");
  const all = await ok(client.GET("/api/v1/feature-flags"));
  assert.ok(all.data.items.some((one) => one.value === mark));
  await ok(client.DELETE(one, { params: { path, header: { "If-Match": set.tag } } }));
  const history = await ok(client.GET("/api/v1/feature-flags/{name}/history", { params: { path } }));
  assert.deepEqual(history.data.items.slice(0, 2).map((change) => change.action), ["unset", "set"]);
  const mine = await ok(client.GET("/api/v1/features"));
  assert.ok(mine.data.items.some((feature) => feature.name === "greeting"));
}

async function shelves(): Promise<string> {
  const all = "/api/v1/shelves", one = "/api/v1/shelves/{id}";
  const body = { slug: `${mark}-a`, name: "A" };
  const once = { header: { "Idempotency-Key": mark } };
  const made = await ok(client.POST(all, { params: once, body }));
  assert.equal((await ok(client.POST(all, { params: once, body }))).data.id, made.data.id);
  const target = made.data.id;
  const patched = await ok(client.PATCH(one, { params: guarded(target, made.tag), body: { name: "B" } }));
  assert.equal(patched.data.version, 2);
  assert.equal((await refused(client.PATCH(one, { params: guarded(target, made.tag), body: {} }))).code, "precondition_failed");
  const replaced = await ok(client.PUT(one, { params: guarded(target, patched.tag), body: { ...body, name: "C" } }));
  const known = crypto.randomUUID();
  const put = { params: { ...id(known), header: { "If-None-Match": "*" } }, body: { slug: `${mark}-b`, name: "B" } };
  assert.equal((await ok(client.PUT(one, put))).status, 201);
  await ok(client.DELETE(one, { params: guarded(target, replaced.tag) }));
  await ok(client.POST("/api/v1/shelves/{id}/restore", { params: id(target) }));
  const read = await ok(client.GET(one, { params: id(target) }));
  assert.equal(read.data.name, "C");
  const history = await ok(client.GET("/api/v1/shelves/{id}/history", { params: id(target) }));
  assert.deepEqual(history.data.items.map((entry) => entry.action), ["restore", "delete", "update", "update", "create"]);
  const bulk = await ok(client.POST("/api/v1/shelves/bulk", {
    body: { mode: "atomic", operations: [{ op: "patch", id: known, if_match: "*", changes: { name: "D" } }] },
  }));
  assert.deepEqual(bulk.data.results.map((result) => result.status), [200]);
  const query = { slug__in: [`${mark}-a`, `${mark}-b`], sort: ["-name" as const, "created_at" as const] };
  const list = await ok(client.GET(all, { params: { query } }));
  assert.deepEqual(list.data.items.map((item) => item.name), ["D", "C"]);
  const text = await ok(client.GET("/api/v1/shelves/export", { params: { query }, parseAs: "text" }));
  assert.equal(text.data.trimEnd().split("\n").length, 2);
  return target;
}

async function articles(shelf: string) {
  const all = "/api/v1/articles", one = "/api/v1/articles/{id}", sku = mark.toUpperCase();
  const body = { name: "Tables, chairs", price: "19.99", shelf_id: shelf };
  const made = await ok(client.POST(all, { body: { ...body, sku: `${sku}-A` } }));
  const bulk = await ok(client.POST("/api/v1/articles/bulk", {
    body: {
      mode: "partial",
      operations: [
        { op: "create", item: { ...body, sku: `${sku}-B`, name: "Tables", status: "active", price: 0.07 } },
        { op: "create", item: { ...body, sku: `${sku}-C`, name: "chairs", status: "discontinued" } },
        { op: "create", item: { ...body, sku: `${sku}-C` } },
      ],
    },
  }));
  assert.deepEqual(bulk.data.results.map((result) => result.status), [201, 201, 409]);
  assert.equal(bulk.data.results[2]?.problem?.code, "duplicate");
  const names = async (query: NonNullable<paths["/api/v1/articles"]["get"]["parameters"]["query"]>) =>
    (await ok(client.GET(all, { params: { query: { ...query, shelf_id: shelf } } }))).data.items.map((item: Article) => item.name);
  assert.deepEqual(await names({ name__in: ["Tables, chairs"] }), ["Tables, chairs"]);
  assert.deepEqual(await names({ "shelf.slug": `${mark}-a`, name: "chairs" }), ["chairs"]);
  assert.deepEqual(await names({ status__in: ["draft", "active"], sort: ["-price", "name"] }), ["Tables, chairs", "Tables"]);
  const under = await ok(client.GET("/api/v1/shelves/{id}/articles", { params: { ...id(shelf), query: { limit: 1, count: "exact" } } }));
  assert.equal(under.data.total, 3);
  assert.ok(under.data.next_cursor);
  const target = made.data.id;
  const read = await client.GET(one, { params: { ...id(target), header: { "If-None-Match": made.tag } } });
  assert.equal(read.response.status, 304);
  const weak = await refused(client.PATCH(one, { params: guarded(target, `W/${made.tag}`), body: { stock: 1 } }));
  assert.match(weak.detail ?? "", /weak/);
  const patched = await ok(client.PATCH(one, { params: guarded(target, made.tag), body: { stock: 1, attributes: { a: 1 } } }));
  const replaced = await ok(client.PUT(one, { params: guarded(target, patched.tag), body: { ...body, sku: `${sku}-A` } }));
  await ok(client.DELETE(one, { params: guarded(target, replaced.tag) }));
  await ok(client.POST("/api/v1/articles/{id}/restore", { params: id(target) }));
  const expanded = await ok(client.GET(one, { params: { ...id(target), query: { expand: ["shelf"] } } }));
  assert.equal(expanded.data.shelf?.id, shelf);
  const once = { params: { ...id(target), header: { "Idempotency-Key": `${mark}-stock` } }, body: { pieces: 2 } };
  for (const _ of [1, 2]) assert.equal((await ok(client.POST("/api/v1/articles/{id}/restock", once))).data.stock, 2);
  const history = await ok(client.GET("/api/v1/articles/{id}/history", { params: { ...id(target), query: { limit: 2 } } }));
  assert.deepEqual(history.data.items.map((entry) => entry.action), ["restock", "restore"]);
  const text = await ok(client.GET("/api/v1/articles/export", { params: { query: { shelf_id: shelf } }, parseAs: "text" }));
  assert.equal(text.data.trimEnd().split("\n").length, 3);
  const summary = await ok(client.GET("/api/v1/shelves/{id}/summary", { params: id(shelf) }));
  assert.equal(summary.data.articles, 3);
  const wrong = await refused(client.POST(all, { body: { ...body, sku: "no" } }));
  assert.equal(wrong.errors?.[0]?.pointer, "/sku");
}

async function parcels() {
  const all = "/api/v1/parcels", one = "/api/v1/parcels/{id}";
  const body = { number: `${mark}-1` };
  const made = await ok(client.POST(all, { body }));
  const target = made.data.id;
  assert.equal(made.data.tenant, "tests");
  const patched = await ok(client.PATCH(one, { params: guarded(target, made.tag), body: { weight: 2 } }));
  const replaced = await ok(client.PUT(one, { params: guarded(target, patched.tag), body }));
  await ok(client.DELETE(one, { params: guarded(target, replaced.tag) }));
  await ok(client.POST("/api/v1/parcels/{id}/restore", { params: id(target) }));
  assert.equal((await ok(client.POST("/api/v1/parcels/{id}/send", { params: id(target) }))).data.status, "sent");
  const operations = [{ op: "create" as const, item: { number: `${mark}-2`, bundle_id: target } }];
  await ok(client.POST("/api/v1/parcels/bulk", { body: { operations } }));
  const under = await ok(client.GET("/api/v1/parcels/{id}/parcels", { params: id(target) }));
  assert.deepEqual(under.data.items.map((item) => item.number), [`${mark}-2`]);
  assert.equal((await ok(client.GET(all, { params: { query: { id__in: [target] } } }))).data.items.length, 1);
  await ok(client.GET(one, { params: id(target) }));
  const history = await ok(client.GET("/api/v1/parcels/{id}/history", { params: id(target) }));
  assert.equal(history.data.items[0]?.action, "send");
  await ok(client.GET("/api/v1/parcels/export", { params: { query: { bundle_id: target } }, parseAs: "text" }));
}

assert.equal((await ok(client.GET("/health"))).data.status, "ok");
await keys();
await features();
await articles(await shelves());
await parcels();
