{{/*
What does not fit the objects that are already in the cluster, as a list of sentences. validate.yaml refuses it. Where Helm
cannot ask the cluster, there are none. Called with (list . KEYS): those of the generated Secret.
*/}}
{{- define "slipway.problems.existing" -}}
{{- $root := first . }}
{{- $problems := list }}
{{- $lost := include "slipway.credentials.lost" . | fromYaml }}
{{- with $lost.keys }}
{{- $secret := include "slipway.credentials" $root }}
{{- $problems = append $problems (printf "Secret %s has no %s, while %s depends on it: new passwords would not match. Restore the Secret from a copy. Without one, docs/kubernetes.md says how to set new passwords (A lost Secret)." $secret (join ", " .) (join ", " $lost.users)) }}
{{- end }}
{{- $problems = concat $problems (include "slipway.problems.renamed" $root | fromYamlArray) }}
{{- if and $root.Values.backup.enabled $root.Values.backup.restore }}
{{- $problems = concat $problems (include "slipway.problems.restored" $root | fromYamlArray) }}
{{- end }}
{{- if $root.Values.postgresql.enabled }}
{{- $problems = concat $problems (include "slipway.problems.major" $root | fromYamlArray) }}
{{- end }}
{{- range $server := list "postgresql" "redis" }}
{{- if (index $root.Values $server).enabled }}
{{- $problems = concat $problems (include "slipway.problems.volume" (list $root $server) | fromYamlArray) }}
{{- end }}
{{- end }}
{{- toYaml $problems }}
{{- end }}

{{/*
A release whose long name an earlier version of the chart cut without adding a hash: under another name, the Deployment and
the Service would be replaced, with nothing to serve in between.
*/}}
{{- define "slipway.problems.renamed" -}}
{{- $problems := list }}
{{- $name := include "slipway.fullname" . }}
{{- $before := include "slipway.fullname.whole" . | trunc 40 | trimSuffix "-" }}
{{- if ne $name $before }}
{{- $there := lookup "apps/v1" "Deployment" .Release.Namespace $before }}
{{- if eq (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $there) .Release.Name }}
{{- $problems = append $problems (printf "the release's objects are called %s, as an earlier version of the chart shortened the name, and would now be called %s: the service would be gone until the new pods are ready, and its address would change. Set fullnameOverride=%s to keep the name." $before $name $before) }}
{{- end }}
{{- end }}
{{- toYaml $problems }}
{{- end }}

{{/*
The missing keys of the generated Secret that objects in the cluster depend on (`keys`), and these objects (`users`). A server's
volume depends on its owner's password, and other objects on the keys that they name. Called like slipway.problems.existing.
*/}}
{{- define "slipway.credentials.lost" -}}
{{- $root := first . }}
{{- $space := $root.Release.Namespace }}
{{- $secret := include "slipway.credentials" $root }}
{{- $data := dig "data" dict (lookup "v1" "Secret" $space $secret) }}
{{- $server := include "slipway.bundled.host" (list $root "postgresql") }}
{{- $redis := include "slipway.bundled.host" (list $root "redis") }}
{{- $found := dict }}
{{- range $kind, $names := dict "Deployment" (list (include "slipway.fullname" $root)) "StatefulSet" (list $server $redis) }}
{{- range $names }}
{{- with lookup "apps/v1" $kind $space . }}{{ $_ := set $found (printf "%s %s" $kind .metadata.name) (toJson .spec) }}{{ end }}
{{- end }}
{{- end }}
{{- $claim := printf "PersistentVolumeClaim data-%s-0" $server }}
{{- $keys := dict }}
{{- $users := dict }}
{{- range last . }}
{{- if not (hasKey $data .key) }}
{{- $key := .key }}
{{- $needed := list }}
{{- /* A variable's secretKeyRef, or the only item of a projected Secret. */}}
{{- $reference := printf "\"key\":\"%s\"(,\"path\":\"[^\"]*\"}])?,\"name\":\"%s\"" (regexQuoteMeta $key) (regexQuoteMeta $secret) }}
{{- range $user, $spec := $found }}
{{- if regexMatch $reference $spec }}{{ $needed = append $needed $user }}{{ end }}
{{- end }}
{{- if eq .of "postgresql.auth.existingSecret" }}
{{- $volume := dig "persistence" "enabled" true $root.Values.postgresql }}
{{- if and $volume (lookup "v1" "PersistentVolumeClaim" $space (printf "data-%s-0" $server)) }}{{ $needed = append $needed $claim }}{{ end }}
{{- if hasKey $found (printf "StatefulSet %s" $server) }}{{ $needed = append $needed (printf "StatefulSet %s" $server) }}{{ end }}
{{- end }}
{{- range $needed }}{{ $_ := set $keys $key true }}{{ $_ := set $users . true }}{{ end }}
{{- end }}
{{- end }}
{{- dict "keys" (keys $keys | sortAlpha) "users" (keys $users | sortAlpha) | toYaml }}
{{- end }}

{{/*
What cannot be changed about the volume of a bundled server, because its StatefulSet would have to change a field that is
immutable. Called with (list . "postgresql").
*/}}
{{- define "slipway.problems.volume" -}}
{{- $root := first . }}
{{- $server := last . }}
{{- $host := include "slipway.bundled.host" . }}
{{- $values := dig "persistence" dict (index $root.Values $server) }}
{{- $problems := list }}
{{- with lookup "apps/v1" "StatefulSet" $root.Release.Namespace $host }}
{{- $claim := dig "spec" "volumeClaimTemplates" list . | first | default dict }}
{{- $wanted := and (dig "enabled" true $values) (not (dig "existingClaim" "" $values)) }}
{{- $changed := "" }}
{{- if ne (not $wanted) (empty $claim) }}
{{- $changed = printf "%s.persistence would %s the volume claim" $server (ternary "add" "remove" $wanted) }}
{{- else if $wanted }}
{{- $spec := $claim.spec }}
{{- $size := dig "size" "8Gi" $values | toString }}
{{- $class := dig "storageClass" "" $values | default "the default class" }}
{{- $was := dict "size" (dig "resources" "requests" "storage" "" $spec) "storageClass" ($spec.storageClassName | default "the default class") "accessModes" (join ", " $spec.accessModes) }}
{{- $modes := dig "accessModes" (list (dig "accessMode" "ReadWriteOnce" $values)) $values }}
{{- if ne (include "slipway.bytes" $was.size) (include "slipway.bytes" $size) }}
{{- $changed = printf "%s.persistence.size is %s and was %s" $server $size $was.size }}
{{- else if ne $was.storageClass (ternary "the default class" $class (and (eq $class "-") (not $spec.storageClassName))) }}
{{- $changed = printf "%s.persistence.storageClass is %s and was %s" $server $class $was.storageClass }}
{{- else if ne $was.accessModes (join ", " $modes) }}
{{- $changed = printf "access modes in %s.persistence are %s and were %s" $server (join ", " $modes) $was.accessModes }}
{{- end }}
{{- end }}
{{- with $changed }}
{{- $problems = append $problems (printf "%s, which StatefulSet %s cannot change. Leave it as it was, or follow docs/kubernetes.md (Changing a volume)." . $host) }}
{{- end }}
{{- end }}
{{- toYaml $problems }}
{{- end }}

{{/* A Job cannot change, and an upgrade must not restore a second time. */}}
{{- define "slipway.problems.restored" -}}
{{- $problems := list }}
{{- $job := include "slipway.restore.name" . }}
{{- $ran := dig "metadata" "annotations" "checksum/pod" "" (lookup "batch/v1" "Job" .Release.Namespace $job) }}
{{- if and $ran (ne $ran (include "slipway.restore.pod" . | sha256sum)) }}
{{- $problems = append $problems (printf "backup.restore is still %q, and Job %s, which has run, cannot change: empty backup.restore." .Values.backup.restore $job) }}
{{- end }}
{{- toYaml $problems }}
{{- end }}

{{/* The major version of the bundled PostgreSQL, if its tag begins with it. */}}
{{- define "slipway.postgresql.major" -}}
{{- if .Values.postgresql.enabled }}{{ regexFind "^[0-9]+" (dig "image" "tag" "" .Values.postgresql | toString) }}{{ end }}
{{- end }}

{{/*
Another major version than that of the volume. The StatefulSet tells it or, after an uninstall, an annotation of the generated Secret,
which stays like the volume.
*/}}
{{- define "slipway.problems.major" -}}
{{- $problems := list }}
{{- $space := .Release.Namespace }}
{{- $server := include "slipway.bundled.host" (list . "postgresql") }}
{{- $claim := printf "data-%s-0" $server }}
{{- $wanted := include "slipway.postgresql.major" . }}
{{- $there := "" }}
{{- with lookup "apps/v1" "StatefulSet" $space $server }}
{{- range .spec.template.spec.containers }}
{{- if eq .name "postgresql" }}{{ $there = regexFind "^[0-9]+" (splitList "/" .image | last | splitList ":" | rest | join ":") }}{{ end }}
{{- end }}
{{- else }}
{{- if lookup "v1" "PersistentVolumeClaim" $space $claim }}
{{- $there = dig "metadata" "annotations" "slipway/postgresql-major" "" (lookup "v1" "Secret" $space (include "slipway.credentials" .)) }}
{{- end }}
{{- end }}
{{- if and $there $wanted (ne $there $wanted) }}
{{- $problems = append $problems (printf "postgresql.image.tag is PostgreSQL %s, and PersistentVolumeClaim %s has data of PostgreSQL %s, which another major version would not use. Move the data by a backup and a restore, as docs/backup.md says (A new major version), or set postgresql.image.tag to a version %s." $wanted $claim $there $there) }}
{{- end }}
{{- toYaml $problems }}
{{- end }}

{{/* The number that a quantity such as 8Gi means. */}}
{{- define "slipway.bytes" -}}
{{- $unit := regexFind "[A-Za-z]*$" . }}
{{- $factor := get (dict "" 1.0 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0) $unit }}
{{- mulf (trimSuffix $unit . | float64) ($factor | default 1.0) }}
{{- end }}
