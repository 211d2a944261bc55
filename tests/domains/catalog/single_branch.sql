BEGIN;

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, 
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE row_history (
    table_name TEXT NOT NULL, 
    row_id UUID NOT NULL, 
    version INTEGER NOT NULL, 
    action TEXT NOT NULL, 
    actor TEXT NOT NULL, 
    request_id TEXT, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    row JSONB NOT NULL, 
    CONSTRAINT pk_row_history PRIMARY KEY (table_name, row_id, version)
);

CREATE FUNCTION slipway_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- A statement that minds versions itself never gets here: the trigger's WHEN clause sees to it.
  NEW.version := OLD.version + 1;
  NEW.updated_at := clock_timestamp();
  NEW.updated_by := coalesce(nullif(current_setting('slipway.principal', true), ''), 'database:' || session_user);
  RETURN NEW;
END $$;

CREATE FUNCTION slipway_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO row_history (table_name, row_id, version, action, actor, request_id, at, row)
    VALUES (TG_TABLE_NAME, OLD.id, OLD.version + 1, 'erase',
            coalesce(nullif(current_setting('slipway.principal', true), ''), 'database:' || session_user),
            nullif(current_setting('slipway.request_id', true), ''), clock_timestamp(), to_jsonb(OLD));
  ELSE
    INSERT INTO row_history (table_name, row_id, version, action, actor, request_id, at, row)
    VALUES (TG_TABLE_NAME, NEW.id, NEW.version,
            CASE WHEN TG_OP = 'INSERT' THEN 'create'
                 WHEN NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL THEN 'delete'
                 WHEN NEW.deleted_at IS NULL AND OLD.deleted_at IS NOT NULL THEN 'restore'
                 ELSE 'update' END,
            NEW.updated_by, nullif(current_setting('slipway.request_id', true), ''), NEW.updated_at,
            to_jsonb(NEW));
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION slipway_merge_patch(target jsonb, patch jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  -- RFC 7396, section 2, as its pseudo code has it.
  IF jsonb_typeof(patch) IS DISTINCT FROM 'object' THEN
    RETURN patch;
  END IF;
  IF jsonb_typeof(target) IS DISTINCT FROM 'object' THEN
    target := '{}';
  END IF;
  RETURN coalesce((
    SELECT jsonb_object_agg(key, value) FROM (
      SELECT t.key, t.value FROM jsonb_each(target) t WHERE NOT patch ? t.key
      UNION ALL
      SELECT p.key, slipway_merge_patch(target -> p.key, p.value)
      FROM jsonb_each(patch) p WHERE jsonb_typeof(p.value) <> 'null'
    ) merged), '{}');
END $$;

CREATE TABLE api_key (
    id UUID NOT NULL, 
    name VARCHAR(100) NOT NULL, 
    prefix VARCHAR(16) NOT NULL, 
    secret_hash BYTEA NOT NULL, 
    scopes TEXT[] NOT NULL, 
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    expires_at TIMESTAMP WITH TIME ZONE, 
    revoked_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_api_key PRIMARY KEY (id), 
    CONSTRAINT uq_api_key_prefix UNIQUE (prefix)
);

CREATE TABLE category (
    id UUID NOT NULL, 
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    created_by VARCHAR(200) NOT NULL, 
    updated_by VARCHAR(200) NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    deleted_at TIMESTAMP WITH TIME ZONE, 
    slug VARCHAR(60) NOT NULL, 
    name VARCHAR(120) NOT NULL, 
    description VARCHAR(2000) NOT NULL, 
    CONSTRAINT pk_category PRIMARY KEY (id)
);

CREATE UNIQUE INDEX uq_category_slug ON category (slug) WHERE deleted_at IS NULL;

CREATE INDEX ix_category_name ON category (name, id) WHERE deleted_at IS NULL;

CREATE INDEX ix_category_created_at ON category (created_at, id) WHERE deleted_at IS NULL;

CREATE INDEX ix_category_search ON category USING gin ((to_tsvector('simple'::regconfig, name || ' ' || description))) WHERE deleted_at IS NULL;

CREATE TRIGGER category_touch BEFORE UPDATE ON category FOR EACH ROW WHEN (NEW.version = OLD.version) EXECUTE FUNCTION slipway_touch();

CREATE TRIGGER category_history AFTER INSERT OR UPDATE OR DELETE ON category FOR EACH ROW EXECUTE FUNCTION slipway_history();

CREATE TABLE product (
    id UUID NOT NULL, 
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    created_by VARCHAR(200) NOT NULL, 
    updated_by VARCHAR(200) NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    deleted_at TIMESTAMP WITH TIME ZONE, 
    sku VARCHAR(40) NOT NULL, 
    name VARCHAR(200) NOT NULL, 
    description VARCHAR(10000) NOT NULL, 
    price NUMERIC(12, 2) NOT NULL, 
    stock INTEGER NOT NULL, 
    status VARCHAR(40) NOT NULL, 
    tags TEXT[] NOT NULL, 
    attributes JSONB NOT NULL, 
    category_id UUID NOT NULL, 
    CONSTRAINT pk_product PRIMARY KEY (id), 
    CONSTRAINT fk_product_category_id FOREIGN KEY(category_id) REFERENCES category (id), 
    CONSTRAINT ck_product_price CHECK (price >= 0), 
    CONSTRAINT ck_product_stock CHECK (stock >= 0), 
    CONSTRAINT ck_product_product_status CHECK (status IN ('draft', 'active', 'discontinued'))
);

CREATE UNIQUE INDEX uq_product_sku ON product (sku) WHERE deleted_at IS NULL;

CREATE INDEX ix_product_created_at ON product (created_at, id) WHERE deleted_at IS NULL;

CREATE INDEX ix_product_name ON product (name, id) WHERE deleted_at IS NULL;

CREATE INDEX ix_product_price ON product (price, id) WHERE deleted_at IS NULL;

CREATE INDEX ix_product_category_id_created_at ON product (category_id, created_at, id) WHERE deleted_at IS NULL;

CREATE INDEX ix_product_sku_prefix ON product (sku text_pattern_ops) WHERE deleted_at IS NULL;

CREATE INDEX ix_product_search ON product USING gin ((to_tsvector('simple'::regconfig, name || ' ' || description))) WHERE deleted_at IS NULL;

CREATE TRIGGER product_touch BEFORE UPDATE ON product FOR EACH ROW WHEN (NEW.version = OLD.version) EXECUTE FUNCTION slipway_touch();

CREATE TRIGGER product_history AFTER INSERT OR UPDATE OR DELETE ON product FOR EACH ROW EXECUTE FUNCTION slipway_history();

CREATE FUNCTION product_category_id_alive() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM category AS _row WHERE _row.id = NEW.category_id AND _row.deleted_at IS NULL FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'category_id refers to no category' USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'fk_product_category_id', TABLE = 'product';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION product_category_id_unused() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM category AS _row WHERE _row.id = OLD.id FOR UPDATE;
  IF EXISTS (SELECT 1 FROM product AS _row WHERE _row.category_id = OLD.id AND _row.deleted_at IS NULL) THEN
    RAISE EXCEPTION 'a product refers to this category' USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'fk_product_category_id', TABLE = 'product', DETAIL = 'The row is still referenced.';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER product_category_id_alive BEFORE INSERT OR UPDATE OF category_id, deleted_at ON product FOR EACH ROW WHEN (NEW.category_id IS NOT NULL AND NEW.deleted_at IS NULL) EXECUTE FUNCTION product_category_id_alive();

CREATE TRIGGER product_category_id_unused BEFORE UPDATE OF deleted_at ON category FOR EACH ROW WHEN (NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL) EXECUTE FUNCTION product_category_id_unused();

INSERT INTO alembic_version (version_num) VALUES ('0001') RETURNING alembic_version.version_num;

COMMIT;

BEGIN;

-- Running upgrade 0001 -> 0002

CREATE TABLE idempotency_record (
    principal TEXT NOT NULL, 
    key TEXT NOT NULL, 
    fingerprint BYTEA NOT NULL, 
    status INTEGER NOT NULL, 
    headers JSONB NOT NULL, 
    body TEXT NOT NULL, 
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    CONSTRAINT pk_idempotency_record PRIMARY KEY (principal, key)
);

CREATE INDEX ix_idempotency_record_created_at ON idempotency_record (created_at);

CREATE INDEX ix_product_tags_elements ON product USING gin (tags) WHERE deleted_at IS NULL;

UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';

COMMIT;

BEGIN;

-- Running upgrade 0002 -> 0003

ALTER TABLE api_key ADD COLUMN last_used_at TIMESTAMP WITH TIME ZONE;

UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';

COMMIT;

BEGIN;

-- Running upgrade 0003 -> 0004

CREATE INDEX ix_product_stock ON product (stock, id) WHERE deleted_at IS NULL;

CREATE INDEX ix_product_updated_at ON product (updated_at, id) WHERE deleted_at IS NULL;

CREATE STATISTICS st_product_search ON (to_tsvector('simple'::regconfig, name || ' ' || description)) FROM product;

CREATE STATISTICS st_category_search ON (to_tsvector('simple'::regconfig, name || ' ' || description)) FROM category;

UPDATE alembic_version SET version_num='0004' WHERE alembic_version.version_num = '0003';

COMMIT;

BEGIN;

-- Running upgrade 0004 -> 0005

DO $$ BEGIN
  EXECUTE format('ALTER FUNCTION slipway_history() SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
END $$;

REVOKE EXECUTE ON FUNCTION slipway_history() FROM PUBLIC;

UPDATE alembic_version SET version_num='0005' WHERE alembic_version.version_num = '0004';

COMMIT;

BEGIN;

-- Running upgrade 0005 -> 0006

ALTER TABLE row_history ADD COLUMN db_user TEXT;

ALTER TABLE row_history ALTER COLUMN db_user SET DEFAULT session_user;

UPDATE alembic_version SET version_num='0006' WHERE alembic_version.version_num = '0005';

COMMIT;

BEGIN;

-- Running upgrade 0006 -> 0007

DO $$ DECLARE found record; BEGIN
  FOR found IN
    SELECT DISTINCT c.oid::regclass AS name FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('created_by', 'updated_by')
    WHERE t.tgfoid = 'slipway_history()'::regprocedure
      AND a.atttypid = 'varchar'::regtype AND a.atttypmod BETWEEN 4 AND 4 + 511
  LOOP
    EXECUTE format(
      'ALTER TABLE %s ALTER created_by TYPE varchar(512), ALTER updated_by TYPE varchar(512)', found.name);
  END LOOP;
END $$;

UPDATE alembic_version SET version_num='0007' WHERE alembic_version.version_num = '0006';

COMMIT;

BEGIN;

-- Running upgrade 0007 -> 0008

CREATE FUNCTION slipway_each(statement text, principal text, document jsonb, request_id text, most integer)
RETURNS TABLE (id uuid, matched boolean, body text, version integer, done boolean, allowed boolean, error jsonb)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_variable
DECLARE
  element jsonb;
  state text; refused_by text; in_column text; in_table text; message text;
BEGIN
  -- Prepared, since EXECUTE would plan the statement anew for each element. The name is this session's: it may be left
  -- over from a call that an error has ended.
  IF EXISTS (SELECT FROM pg_prepared_statements p WHERE p.name = '_slipway_each') THEN
    DEALLOCATE _slipway_each;
  END IF;
  EXECUTE 'PREPARE _slipway_each (text, jsonb, text) AS ' || statement;
  FOR element IN SELECT e FROM jsonb_array_elements(document) AS e LOOP
    error := NULL;
    BEGIN
      EXECUTE format('EXECUTE _slipway_each (%L, %L, %L)', principal, jsonb_build_array(element), request_id)
        INTO body, version, id, done, allowed;
      matched := id IS NOT NULL;
    EXCEPTION WHEN integrity_constraint_violation OR data_exception OR program_limit_exceeded THEN
      GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, refused_by = CONSTRAINT_NAME, in_column = COLUMN_NAME,
        in_table = TABLE_NAME, message = MESSAGE_TEXT;
      matched := false;
      error := jsonb_strip_nulls(jsonb_build_object('C', state, 'n', nullif(refused_by, ''), 'c', nullif(in_column, ''),
        't', nullif(in_table, ''), 'M', message));
      most := most - 1;
    END;
    id := coalesce(element ->> 'id', element ->> '_id')::uuid;
    RETURN NEXT;
    EXIT WHEN most = 0;
  END LOOP;
  DEALLOCATE _slipway_each;
END $$;

UPDATE alembic_version SET version_num='0008' WHERE alembic_version.version_num = '0007';

COMMIT;

BEGIN;

-- Running upgrade 0008 -> 0009

CREATE OR REPLACE FUNCTION slipway_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO row_history (table_name, row_id, version, action, actor, request_id, at, row)
    VALUES (TG_TABLE_NAME, OLD.id, OLD.version + 1, 'erase',
            coalesce(nullif(current_setting('slipway.principal', true), ''), 'database:' || session_user),
            nullif(current_setting('slipway.request_id', true), ''), clock_timestamp(), to_jsonb(OLD));
  ELSE
    INSERT INTO row_history (table_name, row_id, version, action, actor, request_id, at, row)
    VALUES (TG_TABLE_NAME, NEW.id, NEW.version,
            CASE WHEN TG_OP = 'INSERT' THEN 'create'
                 WHEN NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL THEN 'delete'
                 WHEN NEW.deleted_at IS NULL AND OLD.deleted_at IS NOT NULL THEN 'restore'
                 ELSE 'update' END,
            coalesce(nullif(current_setting('slipway.principal', true), ''), NEW.updated_by), nullif(current_setting('slipway.request_id', true), ''), NEW.updated_at,
            to_jsonb(NEW));
  END IF;
  RETURN NULL;
END $$;

DO $$ BEGIN
  EXECUTE format('ALTER FUNCTION slipway_history() SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
END $$;

REVOKE EXECUTE ON FUNCTION slipway_history() FROM PUBLIC;

UPDATE alembic_version SET version_num='0009' WHERE alembic_version.version_num = '0008';

COMMIT;

BEGIN;

-- Running upgrade 0009 -> 0010

CREATE OR REPLACE FUNCTION slipway_search_text(given text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN translate(normalize(given, NFKC), '«»¡¿·、。「」『』‐‑‒–—―‖‗‘’‚‛“”„‟†‡•‣․‥…‧‰‱′″‴‵‶‷‸‹›※‼‽‾‿⁀⁁⁂⁃⁄⁅⁆⁇⁈⁉⁊⁋⁌⁍⁎⁏⁐⁑⁒⁓⁔⁕⁖⁗⁘⁙⁚⁛⁜⁝⁞', '                                                                                  ');

COMMIT;

SELECT set_config('slipway.lock_timeout', current_setting('lock_timeout'), false);

SET lock_timeout = '10min';

DROP INDEX CONCURRENTLY IF EXISTS ix_product_search_new;

CREATE INDEX CONCURRENTLY ix_product_search_new ON product USING gin ((to_tsvector('simple'::regconfig, slipway_search_text(name || ' ' || description)))) WHERE deleted_at IS NULL;

SELECT set_config('lock_timeout', current_setting('slipway.lock_timeout'), false);

BEGIN;

COMMIT;

SELECT set_config('slipway.lock_timeout', current_setting('lock_timeout'), false);

SET lock_timeout = '10min';

DROP INDEX CONCURRENTLY IF EXISTS ix_product_search;

SELECT set_config('lock_timeout', current_setting('slipway.lock_timeout'), false);

BEGIN;

ALTER INDEX ix_product_search_new RENAME TO ix_product_search;

DROP STATISTICS IF EXISTS st_product_search;

CREATE STATISTICS st_product_search ON (to_tsvector('simple'::regconfig, slipway_search_text(name || ' ' || description))) FROM product;

COMMIT;

SELECT set_config('slipway.lock_timeout', current_setting('lock_timeout'), false);

SET lock_timeout = '10min';

DROP INDEX CONCURRENTLY IF EXISTS ix_category_search_new;

CREATE INDEX CONCURRENTLY ix_category_search_new ON category USING gin ((to_tsvector('simple'::regconfig, slipway_search_text(name || ' ' || description)))) WHERE deleted_at IS NULL;

SELECT set_config('lock_timeout', current_setting('slipway.lock_timeout'), false);

BEGIN;

COMMIT;

SELECT set_config('slipway.lock_timeout', current_setting('lock_timeout'), false);

SET lock_timeout = '10min';

DROP INDEX CONCURRENTLY IF EXISTS ix_category_search;

SELECT set_config('lock_timeout', current_setting('slipway.lock_timeout'), false);

BEGIN;

ALTER INDEX ix_category_search_new RENAME TO ix_category_search;

DROP STATISTICS IF EXISTS st_category_search;

CREATE STATISTICS st_category_search ON (to_tsvector('simple'::regconfig, slipway_search_text(name || ' ' || description))) FROM category;

UPDATE alembic_version SET version_num='0010' WHERE alembic_version.version_num = '0009';

COMMIT;

BEGIN;

-- Running upgrade 0010 -> 0011

DO $$ DECLARE found record; BEGIN
  FOR found IN
    SELECT pg_get_functiondef(p.oid) AS source FROM pg_proc p
    WHERE p.pronamespace = current_schema()::regnamespace AND p.prorettype = 'trigger'::regtype
      AND (p.prosrc ~ 'PERFORM 1 FROM \S+ WHERE id = NEW\.\S+ AND deleted_at IS NULL FOR KEY SHARE;'
        OR p.prosrc ~ 'PERFORM 1 FROM \S+ WHERE id = OLD\.id FOR UPDATE;')
  LOOP
    EXECUTE regexp_replace(regexp_replace(regexp_replace(regexp_replace(found.source,
      ' WHERE id = (NEW|OLD)\.', ' AS _row WHERE _row.id = \1.'),
      ' AND deleted_at IS NULL', ' AND _row.deleted_at IS NULL'),
      '(EXISTS \(SELECT 1 FROM \S+) WHERE (\S+ = OLD\.id)', '\1 AS _row WHERE _row.\2'),
      '(RAISE EXCEPTION ''a .*, TABLE = ''[^'']+'');', '\1, DETAIL = ''The row is still referenced.'';');
  END LOOP;
END $$;

UPDATE alembic_version SET version_num='0011' WHERE alembic_version.version_num = '0010';

COMMIT;

