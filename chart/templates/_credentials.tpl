{{/*
The keys of the generated Secret that this release uses, as a list: each with its content, and the value that names another
Secret for it. validate.yaml refuses duplicate keys.
*/}}
{{- define "slipway.credentials.keys" -}}
{{- $database := include "slipway.database" . | fromYaml }}
{{- $redis := include "slipway.redis" . | fromYaml }}
{{- $name := include "slipway.credentials" . }}
{{- $stack := index .Values "kube-prometheus-stack" }}
{{- if not .Values.security.existingSecret }}
- {key: secret-key, value: generated, of: security.existingSecret}
{{- end }}
{{- if and .Values.postgresql.enabled (eq $database.owner.secret $name) }}
- {key: {{ $database.owner.key | quote }}, value: generated, of: postgresql.auth.existingSecret}
{{- end }}
{{- if and .Values.postgresql.enabled .Values.databaseRole.name (not .Values.databaseRole.existingSecret) }}
- {key: {{ $database.app.key | quote }}, value: generated, of: databaseRole.existingSecret}
{{- end }}
{{- if and .Values.redis.enabled (eq ($redis.secret | default "") $name) }}
- {key: {{ $redis.key | quote }}, value: generated, of: redis.auth.existingSecret}
{{- end }}
{{- if and .Values.pgadmin.enabled (not .Values.pgadmin.existingSecret) }}
- {key: pgadmin-password, value: generated, of: pgadmin.existingSecret}
{{- end }}
{{- if and .Values.redisCommander.enabled (not .Values.redisCommander.existingSecret) }}
- {key: redis-commander-password, value: generated, of: redisCommander.existingSecret}
{{- end }}
{{- if and $stack.enabled (dig "grafana" "enabled" true $stack) }}
{{- $admin := dig "grafana" "admin" dict $stack }}
{{- if eq (tpl $admin.existingSecret .) $name }}
- {key: {{ $admin.userKey | quote }}, value: admin, of: kube-prometheus-stack.grafana.admin.existingSecret}
- {key: {{ $admin.passwordKey | quote }}, value: generated, of: kube-prometheus-stack.grafana.admin.existingSecret}
{{- end }}
{{- end }}
{{- end }}

{{/*
Checksum of the first value of a key of the generated Secret, which the Secret keeps in an annotation; "unknown" for a Secret
that was restored after its server was made. Called with (list . SECRET KEY), SECRET as looked up.
*/}}
{{- define "slipway.credentials.first" -}}
{{- $root := index . 0 }}
{{- $secret := index . 1 }}
{{- $key := index . 2 }}
{{- $known := dig "metadata" "annotations" (printf "checksum/%s" $key) "" $secret }}
{{- if not $known }}
{{- $known = get $secret.data $key | sha256sum }}
{{- range $server := list "postgresql" "redis" }}
{{- with lookup "apps/v1" "StatefulSet" $root.Release.Namespace (include "slipway.bundled.host" (list $root $server)) }}
{{- if gt $secret.metadata.creationTimestamp .metadata.creationTimestamp }}{{ $known = "unknown" }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- $known }}
{{- end }}

{{/*
Checksum of a password, by which a change reaches those that read it only once. Empty while a generated password is the
first one, so that an upgrade of the chart changes nothing, and where Helm cannot ask the cluster. Called with (list . SECRET KEY).
*/}}
{{- define "slipway.password.checksum" -}}
{{- $root := index . 0 }}
{{- $name := index . 1 }}
{{- $key := index . 2 }}
{{- if and $root.Values.credentials.generate $name }}
{{- $secret := lookup "v1" "Secret" $root.Release.Namespace $name }}
{{- with dig "data" $key "" $secret }}
{{- $own := eq $name (include "slipway.credentials" $root) }}
{{- if not (and $own (eq (sha256sum .) (include "slipway.credentials.first" (list $root $secret $key)))) }}
{{- sha256sum . | trunc 16 }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
