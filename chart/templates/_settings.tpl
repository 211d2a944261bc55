{{/* The service's settings: environment variables, and secrets as files. */}}

{{/*
The database, bundled or external: host, port, name; the role that owns it and migrates (`owner`), and the role of the
service (`app`), each with user, secret and key. Both are the same unless there are two. `direct` is the host for
migrations, if it differs.
*/}}
{{- define "slipway.database" -}}
{{- if .Values.postgresql.enabled }}
{{- $auth := .Values.postgresql.auth }}
{{- $user := $auth.username | default "postgres" }}
host: {{ include "slipway.bundled.host" (list . "postgresql") | quote }}
port: {{ dig "service" "port" 5432 .Values.postgresql }}
name: {{ $auth.database | default $user | quote }}
owner: {user: {{ $user | quote }}, secret: {{ tpl $auth.existingSecret . | quote }}, key: {{ $auth.secretKeys.adminPasswordKey | quote }}}
{{- with .Values.databaseRole }}
{{- if not .name }}
app: {user: {{ $user | quote }}, secret: {{ tpl $auth.existingSecret $ | quote }}, key: {{ $auth.secretKeys.adminPasswordKey | quote }}}
{{- else if .existingSecret }}
app: {user: {{ .name | quote }}, secret: {{ .existingSecret | quote }}, key: {{ .existingSecretKey | quote }}}
{{- else }}
app: {user: {{ .name | quote }}, secret: {{ include "slipway.credentials" $ | quote }}, key: database-app-password}
{{- end }}
{{- end }}
{{- else }}
{{- with .Values.externalDatabase }}
host: {{ .host | quote }}
port: {{ .port }}
name: {{ .name | quote }}
app: &app {user: {{ .user | quote }}, secret: {{ .existingSecret | quote }}, key: {{ .existingSecretKey | quote }}, url: {{ .urlKey | quote }}}
{{- if .migration.user }}
owner: {user: {{ .migration.user | quote }}, secret: {{ .migration.existingSecret | quote }}, key: {{ .migration.existingSecretKey | quote }}}
{{- else }}
owner: *app
{{- end }}
{{- with .migration.host }}
direct: {host: {{ . | quote }}, port: {{ $.Values.externalDatabase.migration.port }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Address and Secret of Redis. Without a host or sentinels, there is no Redis; without a Secret, no password. `sentinels` has
the addresses with their ports, `ports` those ports.
*/}}
{{- define "slipway.redis" -}}
{{- if .Values.redis.enabled }}
host: {{ include "slipway.bundled.host" (list . "redis") | quote }}
port: {{ dig "service" "port" 6379 .Values.redis }}
{{- if dig "auth" "enabled" true .Values.redis }}
secret: {{ tpl .Values.redis.auth.existingSecret . | quote }}
key: {{ .Values.redis.auth.existingSecretPasswordKey | quote }}
{{- end }}
{{- else if or .Values.externalRedis.host .Values.externalRedis.sentinel.hosts }}
{{- with .Values.externalRedis }}
host: {{ .host | quote }}
port: {{ .port }}
{{- with .sentinel }}
{{- $sentinels := list }}
{{- $ports := list }}
{{- range .hosts }}
{{- $address := regexMatch "^([^:]*|\\[.*\\])$" . | ternary (printf "%s:%d" . (int $.Values.externalRedis.sentinel.port)) . }}
{{- $sentinels = append $sentinels $address }}
{{- $ports = append $ports (regexFind "[0-9]+$" $address | int) }}
{{- end }}
{{- if $sentinels }}
sentinels: {{ toJson $sentinels }}
ports: {{ $ports | uniq | toJson }}
{{- end }}
{{- end }}
user: {{ .user | quote }}
{{- with .existingSecret }}
secret: {{ . | quote }}
key: {{ $.Values.externalRedis.existingSecretKey | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Whether a component logs in as the owner of the database: the migration; drill and restore, which create databases; the
purge if it deletes row history, which the role of the service may only read; and the backup if row-level security hides rows
from that role. All others log in as the service. Called with (list . "server").
*/}}
{{- define "slipway.owner" -}}
{{- $rules := get (first .).Values.config "retention" | default dict }}
{{- $deletes := or (get $rules "history_days") (get $rules "history_versions") }}
{{- $hides := ne "disable" (dig "database" "row_security" "disable" (first .).Values.config) }}
{{- if or (has (last .) (list "migration" "restore")) (and (eq (last .) "purge") $deletes) (and (eq (last .) "backup") $hides) }}true{{ end }}
{{- end }}

{{/*
The settings that the chart sets, as GROUP__FIELD to value; validate.yaml refuses them in `config`. Called with
(list . "server").
*/}}
{{- define "slipway.settings.own" -}}
{{- $component := last . }}
{{- $owner := include "slipway.owner" . }}
{{- with first . }}
{{- $database := include "slipway.database" . | fromYaml }}
{{- $redis := include "slipway.redis" . | fromYaml -}}
SERVER__HOST: {{ .Values.listen | quote }}
SERVER__PORT: 8000
SERVER__PUBLIC_PATH: {{ .Values.publicPath | default "" | quote }}
SERVER__ADMIN_HOST: {{ .Values.listen | quote }}
SERVER__ADMIN_PORT: 9000
SERVER__DRAIN_DELAY: {{ .Values.drain }}
SERVER__SHUTDOWN_TIMEOUT: {{ .Values.shutdownTimeout }}
{{- /* Backups too need PostgreSQL itself. */}}
{{- $at := ternary ($database.direct | default $database) $database (or (not (empty $owner)) (eq $component "backup")) }}
DATABASE__HOST: {{ $at.host | quote }}
DATABASE__PORT: {{ $at.port }}
DATABASE__NAME: {{ $database.name | quote }}
{{- if $owner }}
DATABASE__USER: {{ $database.owner.user | quote }}
{{- if and (has $component (list "migration" "restore")) (ne $database.owner.user $database.app.user) }}
DATABASE__APP_ROLE: {{ $database.app.user | quote }}
{{- end }}
{{- else }}
DATABASE__USER: {{ $database.app.user | quote }}
{{- end }}
{{- if not .Values.postgresql.enabled }}
DATABASE__SSL: {{ .Values.externalDatabase.tls.mode }}
{{- if include "slipway.authorities" .Values.externalDatabase.tls }}
DATABASE__SSL_ROOT_CERT: /run/authorities/database.crt
{{- end }}
{{- if include "slipway.client.secret" (list . $component) }}
DATABASE__SSL_CERT: /run/authorities/database-client.crt
DATABASE__SSL_KEY: /run/authorities/database-client.key
{{- end }}
{{- end }}
{{- if has $component (list "backup" "restore") }}
BACKUP__STORAGE: {{ .Values.backup.storage | default "/backups" | quote }}
BACKUP__CLIENT_FOLDER: /clients
{{- end }}
REDIS__ENABLED: {{ not (empty $redis) }}
{{- with $redis.host }}
REDIS__HOST: {{ . | quote }}
REDIS__PORT: {{ $redis.port }}
{{- end }}
{{- if $redis.sentinels }}
{{- with .Values.externalRedis.sentinel }}
REDIS__SENTINELS: {{ join "," $redis.sentinels | quote }}
REDIS__SENTINEL_MASTER: {{ .master | quote }}
REDIS__SENTINEL_TLS: {{ .tls.enabled }}
{{- with .user }}
REDIS__SENTINEL_USER: {{ . | quote }}
{{- end }}
{{- if include "slipway.authorities" .tls }}
REDIS__SENTINEL_ROOT_CERT: /run/authorities/sentinels.crt
{{- end }}
{{- end }}
{{- end }}
{{- with $redis.user }}
REDIS__USER: {{ . | quote }}
{{- end }}
{{- if and $redis (not .Values.redis.enabled) }}
REDIS__TLS: {{ .Values.externalRedis.tls.enabled }}
{{- if include "slipway.authorities" .Values.externalRedis.tls }}
REDIS__ROOT_CERT: /run/authorities/redis.crt
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The settings that `config` and extraEnv cannot have, as a list of GROUP__FIELD. */}}
{{- define "slipway.settings.reserved" -}}
{{- $own := merge (include "slipway.settings.own" (list . "server") | fromYaml) (include "slipway.settings.own" (list . "restore") | fromYaml) }}
{{- concat (keys $own) (list "DATABASE__URL" "DATABASE__PASSWORD" "DATABASE__APP_ROLE" "DATABASE__APP_PASSWORD" "REDIS__URL" "REDIS__HOST" "REDIS__PORT" "REDIS__PASSWORD" "REDIS__SENTINELS" "REDIS__SENTINEL_MASTER" "REDIS__SENTINEL_TLS" "REDIS__SENTINEL_ROOT_CERT" "REDIS__SENTINEL_PASSWORD" "REDIS__SENTINEL_USER" "SECURITY__ADMIN_KEY" "SECURITY__SECRET_KEY" "SECURITY__PREVIOUS_SECRET_KEY") | sortAlpha | toYaml }}
{{- end }}

{{/* The Secret with the client certificate of the role that a component logs in as. Called like slipway.owner. */}}
{{- define "slipway.client.secret" -}}
{{- $values := (first .).Values }}
{{- if not $values.postgresql.enabled }}
{{- $migration := $values.externalDatabase.migration }}
{{- if and $migration.user (include "slipway.owner" .) }}{{ $migration.clientSecret }}{{ else }}{{ $values.externalDatabase.tls.clientSecret }}{{ end }}
{{- end }}
{{- end }}

{{/* Certificates of authorities to verify a server, as a volume source. Empty if none are named. */}}
{{- define "slipway.authorities" -}}
{{- if .caConfigMap -}}
configMap: {name: {{ .caConfigMap | quote }}}
{{- else if .caSecret -}}
secret: {name: {{ .caSecret | quote }}}
{{- end }}
{{- end }}

{{/*
Environment of a container, sorted, so that equal values render equally. Called with (list . "server") or another component.
All except the server and jobs of domains get only the settings that they need, so that other settings do not run the migration again.
*/}}
{{- define "slipway.env" -}}
{{- $root := first . }}
{{- $all := has (last .) (list "server" "cron") }}
{{- $groups := list "APP" "DATABASE" "LOGGING" }}
{{- if eq (last .) "purge" }}{{ $groups = append $groups "RETENTION" }}{{ end }}
{{- if has (last .) (list "backup" "restore") }}{{ $groups = append $groups "BACKUP" }}{{ end }}
{{- $settings := dict }}
{{- range $group, $fields := $root.Values.config }}
{{- range $field, $value := $fields }}
{{- /* Numbers as JSON too: Helm reads them as floats, and 1000000 would print as 1e+06. */}}
{{- $text := ternary $value (toJson $value) (kindIs "string" $value) }}
{{- $_ := set $settings (printf "%s__%s" $group $field | upper) $text }}
{{- end }}
{{- end }}
{{- range $name, $value := include "slipway.settings.own" . | fromYaml }}
{{- $_ := set $settings $name (toString $value) }}
{{- end -}}
{{- if and (or (eq (last .) "backup") (include "slipway.owner" .)) (include "slipway.database" $root | fromYaml).direct }}
{{- $_ := unset $settings "DATABASE__PGBOUNCER" }}
{{- end -}}
- name: SLIPWAY_SECRETS_DIR
  value: /run/secrets/slipway
{{- range $name, $value := $settings }}
{{- if or $all (has (splitList "__" $name | first) $groups) }}
- name: SLIPWAY_{{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Secrets as files under /run/secrets/slipway/GROUP/FIELD. The service re-reads a changed secret without a restart.
Called like slipway.env.
*/}}
{{- define "slipway.secrets.volume" -}}
{{- $call := . }}
{{- $component := last . }}
{{- $owner := include "slipway.owner" . }}
{{- with first . }}
{{- $database := include "slipway.database" . | fromYaml }}
{{- $redis := include "slipway.redis" . | fromYaml -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ .Values.security.existingSecret | default (include "slipway.credentials" .) | quote }}
          items:
            - key: {{ ternary .Values.security.existingSecretKey "secret-key" (not (empty .Values.security.existingSecret)) | quote }}
              path: security/secret_key
      {{- if has $component (list "server" "cron") }}
      - secret:
          name: {{ .Values.security.existingSecret | default (include "slipway.credentials" .) | quote }}
          optional: true
          items:
            - key: {{ .Values.security.previousSecretKey | quote }}
              path: security/previous_secret_key
      {{- end }}
      {{- $login := ternary $database.owner $database.app (not (empty $owner)) }}
      {{- if $login.secret }}
      - secret:
          name: {{ $login.secret | quote }}
          items:
            - key: {{ $login.url | default $login.key | quote }}
              path: database/{{ ternary "password" "url" (empty $login.url) }}
      {{- end }}
      {{- /* In a bundled database, the owner creates the service's role; in an external one, its administrator has. */}}
      {{- if and (has $component (list "migration" "restore")) .Values.postgresql.enabled .Values.databaseRole.name }}
      - secret:
          name: {{ $database.app.secret | quote }}
          items:
            - key: {{ $database.app.key | quote }}
              path: database/app_password
      {{- end }}
      {{- with .Values.security.adminKey }}
      {{- if and .existingSecret (eq $component "migration") }}
      - secret:
          name: {{ .existingSecret | quote }}
          items:
            - key: {{ .existingSecretKey | quote }}
              path: security/admin_key
      {{- end }}
      {{- end }}
      {{- if and .Values.backup.existingSecret (has $component (list "backup" "restore")) }}
      {{- range $field := list "key" "old_keys" "s3_access_key_id" "s3_secret_access_key" "s3_proxy" }}
      - secret:
          name: {{ (first $call).Values.backup.existingSecret | quote }}
          optional: true
          items:
            - key: {{ $field }}
              path: backup/{{ $field }}
      {{- end }}
      {{- end }}
      {{- if and $redis.secret (has $component (list "server" "cron")) }}
      - secret:
          name: {{ $redis.secret | quote }}
          items:
            - key: {{ $redis.key | quote }}
              path: redis/password
      {{- end }}
      {{- if and $redis.sentinels .Values.externalRedis.sentinel.existingSecret (has $component (list "server" "cron")) }}
      - secret:
          name: {{ .Values.externalRedis.sentinel.existingSecret | quote }}
          items:
            - key: {{ .Values.externalRedis.sentinel.existingSecretKey | quote }}
              path: redis/sentinel_password
      {{- end }}
{{- include "slipway.authorities.volume" $call }}
{{- end }}
{{- end }}

{{- define "slipway.authorities.volume" }}
{{- $component := last . }}
{{- with first . }}
{{- $named := dict }}
{{- if not .Values.postgresql.enabled }}{{ $_ := set $named "database" .Values.externalDatabase.tls }}{{ end }}
{{- if and (not .Values.redis.enabled) (has $component (list "server" "cron")) }}
{{- $_ := set $named "redis" .Values.externalRedis.tls }}
{{- $_ := set $named "sentinels" .Values.externalRedis.sentinel.tls }}
{{- end }}
{{- $sources := list }}
{{- range $server, $tls := $named }}
{{- with include "slipway.authorities" $tls | fromYaml }}
{{- $kind := keys . | first }}
{{- $items := list (dict "key" $tls.caKey "path" (printf "%s.crt" $server)) }}
{{- $sources = append $sources (dict $kind (dict "name" (get . $kind).name "items" $items)) }}
{{- end }}
{{- end }}
{{- with include "slipway.client.secret" $ }}
{{- $items := list (dict "key" "tls.crt" "path" "database-client.crt") (dict "key" "tls.key" "path" "database-client.key") }}
{{- $sources = append $sources (dict "secret" (dict "name" . "items" $items)) }}
{{- end }}
{{- with $sources }}
- name: authorities
  projected:
    defaultMode: 0440
    sources:
      {{- toYaml . | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}
