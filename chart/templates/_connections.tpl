{{/*
The connections to PostgreSQL that the release may open at once, if the server has fewer, as a list of one sentence. The
defaults are those of the service.
*/}}
{{- define "slipway.problems.connections" -}}
{{- $v := .Values }}
{{- $of := dict }}
{{- range $setting, $default := dict "database.pool_max" 8 "performance.exports" 2 "server.workers" 1 }}
{{- $path := splitList "." $setting }}
{{- $given := dig (first $path) (last $path) "" $v.config | toString }}
{{- $_ := set $of $setting (empty $given | ternary $default $given | int) }}
{{- end }}
{{- $pods := ternary $v.autoscaling.maxReplicas $v.replicaCount (eq (include "slipway.autoscaled" .) "true") | int }}
{{- $surge := toString $v.strategy.maxSurge }}
{{- if hasSuffix "%" $surge }}{{ $surge = divf (mul $pods (trimSuffix "%" $surge | int)) 100 | ceil }}{{ end }}
{{- $surge = eq $v.strategy.type "Recreate" | ternary 0 $surge | int }}
{{- $each := add (get $of "database.pool_max") (get $of "performance.exports") }}
{{- /* Four are for the migration, the purge and a backup. */}}
{{- $jobs := $v.cronJobs | default dict | len | add 4 }}
{{- $needed := add (mul (add $pods $surge) (get $of "server.workers") $each) $jobs }}
{{- $limit := "externalDatabase.maxConnections" }}
{{- $most := $v.externalDatabase.maxConnections | default 0 | int }}
{{- $reserved := "" }}
{{- if $v.postgresql.enabled }}
{{- $limit = "postgresql.config.postgresql.max_connections" }}
{{- $most = sub (dig "config" "postgresql" "max_connections" 100 $v.postgresql | int) 3 }}
{{- $reserved = ", after 3 for superusers" }}
{{- end }}
{{- $problems := list }}
{{- if and (or $v.postgresql.enabled $most) (gt $needed $most) }}
{{- $sum := printf "(%d pods + %d in a rollout) x %d workers x (pool_max %d + exports %d) + %d for jobs" $pods $surge (get $of "server.workers") (get $of "database.pool_max") (get $of "performance.exports") $jobs }}
{{- $problems = append $problems (printf "the release may open %d connections to PostgreSQL, and %s allows %d%s: %s. Raise %s, or lower the number of pods, config.database.pool_max or another part of the sum." $needed $limit $most $reserved $sum $limit) }}
{{- end }}
{{- toYaml $problems }}
{{- end }}

{{/* What cannot be with Redis Sentinel, as a list of one sentence each. */}}
{{- define "slipway.problems.sentinel" -}}
{{- $redis := .Values.externalRedis }}
{{- $problems := list }}
{{- with $redis.sentinel }}
{{- if .hosts }}
{{- if $.Values.redis.enabled }}
{{- $problems = append $problems "externalRedis.sentinel.hosts is set while redis.enabled is true: the service uses one Redis. Set redis.enabled=false to use the external one, or leave externalRedis.sentinel.hosts empty." }}
{{- end }}
{{- if $redis.host }}
{{- $problems = append $problems "externalRedis.host and externalRedis.sentinel.hosts are both set: the sentinels name the primary. Leave externalRedis.host empty." }}
{{- end }}
{{- if not .master }}
{{- $problems = append $problems "externalRedis.sentinel.hosts is set and externalRedis.sentinel.master is empty: sentinels monitor primaries by name. Set the name, such as mymaster." }}
{{- end }}
{{- if and .user (not .existingSecret) }}
{{- $problems = append $problems "externalRedis.sentinel.user is set and externalRedis.sentinel.existingSecret is empty: the user could not log in without a password. Name the Secret with it." }}
{{- end }}
{{- else if or .master .user .existingSecret .tls.enabled }}
{{- $problems = append $problems "externalRedis.sentinel has settings while externalRedis.sentinel.hosts is empty: they would not be used. Name the sentinels in it." }}
{{- end }}
{{- end }}
{{- toYaml $problems }}
{{- end }}
