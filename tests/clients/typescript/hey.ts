// Every operation through @hey-api/openapi-ts.
import assert from "node:assert/strict";
import { client } from "./hey/client.gen.js";
import * as api from "./hey/sdk.gen.js";
import type { Problem, ArticleRead } from "./hey/types.gen.js";

const [url, key, mark] = process.argv.slice(2) as [string, string, string];
client.setConfig({ baseUrl: url, auth: key });

type Answer<T> = { data?: T; error?: Problem; response?: Response };

async function ok<T>(call: Promise<Answer<T>>) {
  const { data, error, response } = await call;
  assert.ok(response?.ok, JSON.stringify(error));
  return { data: data as T, tag: response.headers.get("etag") ?? "", status: response.status };
}

const path = (id: string) => ({ path: { id } });
const guarded = (id: string, tag: string) => ({ path: { id }, headers: { "If-Match": tag } });

async function keys() {
  const made = await ok(api.createApiKey({ body: { name: mark, scopes: ["shop:read"] } }));
  assert.ok((await ok(api.listApiKeys())).data.items.some((one) => one.prefix === made.data.prefix));
  await ok(api.revokeApiKey({ path: { prefix: made.data.prefix } }));
}

async function features() {
  const path = { name: "greeting" };
  const flag = await ok(api.readFeatureFlag({ path }));
  const set = await ok(api.setFeatureFlag({ path, headers: { "If-Match": flag.tag }, body: { value: mark } }));
  assert.ok((await ok(api.listFeatureFlags())).data.items.some((one) => one.value === mark));
  await ok(api.unsetFeatureFlag({ path, headers: { "If-Match": set.tag } }));
  const changes = (await ok(api.listFeatureFlagChanges({ path }))).data.items;
  assert.deepEqual(changes.slice(0, 2).map((change) => change.action), ["unset", "set"]);
  assert.ok((await ok(api.listFeatures())).data.items.some((feature) => feature.name === "greeting"));
}

async function shelves(): Promise<string> {
  const body = { slug: `${mark}-a`, name: "A" };
  const once = { headers: { "Idempotency-Key": mark } };
  const made = await ok(api.createShelf({ ...once, body }));
  assert.equal((await ok(api.createShelf({ ...once, body }))).data.id, made.data.id);
  const target = made.data.id;
  const patched = await ok(api.patchShelf({ ...guarded(target, made.tag), body: { name: "B" } }));
  const replaced = await ok(api.replaceShelf({ ...guarded(target, patched.tag), body }));
  const known = crypto.randomUUID();
  const put = { ...path(known), headers: { "If-None-Match": "*" }, body: { slug: `${mark}-b`, name: "B" } };
  assert.equal((await ok(api.replaceShelf(put))).status, 201);
  await ok(api.deleteShelf(guarded(target, replaced.tag)));
  await ok(api.restoreShelf(path(target)));
  await ok(api.readShelf(path(target)));
  assert.equal((await ok(api.readHistoryOfShelf(path(target)))).data.items.length, 5);
  const operations = [{ op: "delete" as const, id: known, if_match: "*" }];
  assert.equal((await ok(api.bulkChangeShelves({ body: { operations } }))).data.results[0]?.status, 204);
  const query = { slug__in: [`${mark}-a`, `${mark}-b`], sort: ["-name" as const, "created_at" as const] };
  assert.equal((await ok(api.listShelves({ query }))).data.items.length, 1);
  assert.equal((await ok(api.exportShelves({ query, parseAs: "text" }))).data.trimEnd().split("\n").length, 1);
  return target;
}

async function articles(shelf: string) {
  const sku = mark.toUpperCase();
  const body = { name: "Tables, chairs", price: "4.35", shelf_id: shelf };
  const made = await ok(api.createArticle({ body: { ...body, sku: `${sku}-A` } }));
  const create = (letter: string, name: string) => ({ op: "create" as const, item: { ...body, sku: `${sku}-${letter}`, name } });
  await ok(api.bulkChangeArticles({ body: { operations: [create("B", "Tables"), create("C", "chairs")] } }));
  const named = await ok(api.listArticles({ query: { "shelf.slug": `${mark}-a`, name__in: ["Tables, chairs"] } }));
  assert.deepEqual(named.data.items.map((item: ArticleRead) => item.name), ["Tables, chairs"]);
  const sorted = await ok(api.listArticlesOfShelf({ ...path(shelf), query: { sort: ["-price", "name"], status__in: ["draft", "active"] } }));
  assert.deepEqual(sorted.data.items.map((item) => item.name), ["chairs", "Tables", "Tables, chairs"].sort());
  const target = made.data.id;
  const patched = await ok(api.patchArticle({ ...guarded(target, made.tag), body: { stock: 1 } }));
  const late = await api.patchArticle({ ...guarded(target, made.tag), body: { stock: 2 } });
  assert.equal(late.error?.code, "precondition_failed");
  const replaced = await ok(api.replaceArticle({ ...guarded(target, patched.tag), body: { ...body, sku: `${sku}-A` } }));
  await ok(api.deleteArticle(guarded(target, replaced.tag)));
  await ok(api.restoreArticle(path(target)));
  await ok(api.readArticle(path(target)));
  const expanded = await ok(api.readArticle({ ...path(target), query: { expand: ["shelf"] } }));
  assert.equal(expanded.data.shelf?.id, shelf);
  const stocked = await ok(api.restockArticle({ ...path(target), body: { pieces: 2 } }));
  assert.equal(stocked.data.stock, 2);
  await ok(api.readHistoryOfArticle({ ...path(target), query: { limit: 2 } }));
  const lines = await ok(api.exportArticles({ query: { shelf_id: shelf }, parseAs: "text" }));
  assert.equal(lines.data.trimEnd().split("\n").length, 3);
  assert.equal((await ok(api.summariseShelf(path(shelf)))).data.articles, 3);
}

async function parcels() {
  const body = { number: `${mark}-1` };
  const made = await ok(api.createParcel({ body }));
  const target = made.data.id;
  assert.equal(made.data.tenant, "tests");
  const patched = await ok(api.patchParcel({ ...guarded(target, made.tag), body: { weight: 2 } }));
  const replaced = await ok(api.replaceParcel({ ...guarded(target, patched.tag), body }));
  await ok(api.deleteParcel(guarded(target, replaced.tag)));
  await ok(api.restoreParcel(path(target)));
  assert.equal((await ok(api.sendParcel(path(target)))).data.status, "sent");
  const operations = [{ op: "create" as const, item: { number: `${mark}-2`, bundle_id: target } }];
  await ok(api.bulkChangeParcels({ body: { operations } }));
  assert.equal((await ok(api.listParcelsOfParcel(path(target)))).data.items.length, 1);
  assert.equal((await ok(api.listParcels({ query: { id__in: [target] } }))).data.items.length, 1);
  await ok(api.readParcel(path(target)));
  assert.equal((await ok(api.readHistoryOfParcel(path(target)))).data.items[0]?.action, "send");
  await ok(api.exportParcels({ query: { bundle_id: target }, parseAs: "text" }));
}

assert.equal((await ok(api.readHealth())).data.status, "ok");
await keys();
await features();
await articles(await shelves());
await parcels();
