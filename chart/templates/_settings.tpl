{{/* What the service is told: environment variables, and secrets as files. */}}

{{/* Where the database is, bundled or external: host, port, name, user, secret, key. */}}
{{- define "slipway.database" -}}
{{- if .Values.postgresql.enabled }}
{{- $auth := .Values.postgresql.auth }}
{{- $user := $auth.username | default "postgres" }}
host: {{ include "slipway.bundled.host" (list . "postgresql") }}
port: {{ dig "service" "port" 5432 .Values.postgresql }}
name: {{ $auth.database | default $user }}
user: {{ $user }}
secret: {{ tpl $auth.existingSecret . }}
key: {{ $auth.secretKeys.adminPasswordKey }}
{{- else }}
{{- with .Values.externalDatabase }}
host: {{ .host }}
port: {{ .port }}
name: {{ .name }}
user: {{ .user }}
secret: {{ .existingSecret }}
key: {{ .existingSecretKey }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where Redis is; no host: there is none. No secret: no password. */}}
{{- define "slipway.redis" -}}
{{- if .Values.redis.enabled }}
host: {{ include "slipway.bundled.host" (list . "redis") }}
port: {{ dig "service" "port" 6379 .Values.redis }}
{{- if dig "auth" "enabled" true .Values.redis }}
secret: {{ tpl .Values.redis.auth.existingSecret . }}
key: {{ .Values.redis.auth.existingSecretPasswordKey }}
{{- end }}
{{- else if .Values.externalRedis.host }}
{{- with .Values.externalRedis }}
host: {{ .host }}
port: {{ .port }}
{{- with .existingSecret }}
secret: {{ . }}
key: {{ $.Values.externalRedis.existingSecretKey }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The settings that the chart decides, as GROUP__FIELD to value; validate.yaml refuses them in `config`. */}}
{{- define "slipway.settings.own" -}}
{{- $database := include "slipway.database" . | fromYaml }}
{{- $redis := include "slipway.redis" . | fromYaml -}}
SERVER__HOST: 0.0.0.0
SERVER__PORT: 8000
SERVER__ADMIN_HOST: 0.0.0.0
SERVER__ADMIN_PORT: 9000
SERVER__DRAIN_DELAY: {{ .Values.drain }}
SERVER__SHUTDOWN_TIMEOUT: {{ .Values.shutdownTimeout }}
DATABASE__HOST: {{ $database.host | quote }}
DATABASE__PORT: {{ $database.port }}
DATABASE__NAME: {{ $database.name | quote }}
DATABASE__USER: {{ $database.user | quote }}
REDIS__ENABLED: {{ not (empty $redis.host) }}
{{- with $redis.host }}
REDIS__HOST: {{ . | quote }}
REDIS__PORT: {{ $redis.port }}
{{- end }}
{{- end }}

{{/*
Environment of a container, sorted, so that nothing but a change changes it. Called with (list . "server") or
(list . "migration"): the latter is told of the database alone, so that no other setting runs a migration again.
*/}}
{{- define "slipway.env" -}}
{{- $root := first . }}
{{- $all := eq (last .) "server" }}
{{- $settings := dict }}
{{- range $group, $fields := $root.Values.config }}
{{- range $field, $value := $fields }}
{{- /* As JSON, numbers of a values file too: they are floats, and 1000000 would print as 1e+06. */}}
{{- $text := ternary $value (toJson $value) (kindIs "string" $value) }}
{{- $_ := set $settings (printf "%s__%s" $group $field | upper) $text }}
{{- end }}
{{- end }}
{{- range $name, $value := include "slipway.settings.own" $root | fromYaml }}
{{- $_ := set $settings $name (toString $value) }}
{{- end -}}
- name: SLIPWAY_SECRETS_DIR
  value: /run/secrets/slipway
{{- range $name, $value := $settings }}
{{- if or $all (has (splitList "__" $name | first) (list "APP" "DATABASE" "LOGGING")) }}
- name: SLIPWAY_{{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Secrets as files under /run/secrets/slipway/GROUP/FIELD. The service reads a changed password again by itself.
Called as slipway.env is.
*/}}
{{- define "slipway.secrets.volume" -}}
{{- $component := last . }}
{{- with first . }}
{{- $database := include "slipway.database" . | fromYaml }}
{{- $redis := include "slipway.redis" . | fromYaml -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ .Values.security.existingSecret | default (include "slipway.credentials" .) }}
          items:
            - key: {{ ternary .Values.security.existingSecretKey "secret-key" (not (empty .Values.security.existingSecret)) }}
              path: security/secret_key
      - secret:
          name: {{ $database.secret }}
          items:
            - key: {{ $database.key }}
              path: database/password
      {{- if and $redis.secret (eq $component "server") }}
      - secret:
          name: {{ $redis.secret }}
          items:
            - key: {{ $redis.key }}
              path: redis/password
      {{- end }}
{{- end }}
{{- end }}
