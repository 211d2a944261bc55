{{/* What is wrong with labels and with what values add to pods, as a list of sentences. validate.yaml refuses it. */}}

{{- define "slipway.problems.additions" -}}
{{- $v := .Values }}
{{- $problems := list }}
{{- $labels := dict "podLabels" $v.podLabels "commonLabels" $v.commonLabels "jobs.podLabels" $v.jobs.podLabels }}
{{- range $value, $given := $labels }}
{{- range $label, $_ := include "slipway.selector" (list $ "server") | fromYaml }}
{{- if hasKey ($given | default dict) $label }}
{{- $problems = append $problems (printf "%s has %s, by which Services and policies select the pods: they would no longer select them. Leave it out." $value $label) }}
{{- end }}
{{- end }}
{{- end }}
{{- range include "slipway.additions.taken" . | fromYamlArray }}
{{- $taken := . }}
{{- $seen := list }}
{{- range $value := .values }}
{{- range get $v $value | default list }}
{{- if has .name $taken.names }}
{{- $problems = append $problems (printf "%s has %s, a name that the chart uses itself: %s" $value .name $taken.fix) }}
{{- else if has .name $seen }}
{{- $problems = append $problems (printf "%s has %s, a name that is used twice: the cluster would refuse the pods. Choose another name." $value .name) }}
{{- end }}
{{- $seen = append $seen .name }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $job := $v.cronJobs }}
{{- if and $job.job (or $job.args $job.command) }}
{{- $problems = append $problems (printf "cronJobs.%s has a job, and args or a command too: it runs one thing. Leave out the others." $name) }}
{{- else if not (or $job.job $job.args $job.command) }}
{{- $problems = append $problems (printf "cronJobs.%s runs nothing. Set its job to a name from `slipway jobs list`, or args for slipway, or a command." $name) }}
{{- end }}
{{- if eq $name "purge" }}
{{- $problems = append $problems "cronJobs.purge has the name of the chart's own CronJob. Choose another name." }}
{{- end }}
{{- /* A CronJob adds 11 characters to the names of its Jobs. */}}
{{- $full := printf "%s-%s" (include "slipway.fullname" $) $name }}
{{- if gt (len $full) 52 }}
{{- $problems = append $problems (printf "cronJobs.%s would be called %s, which has %d characters: a CronJob has at most 52. Choose a shorter name." $name $full (len $full)) }}
{{- end }}
{{- end }}
{{- toYaml $problems }}
{{- end }}

{{/* Names that values cannot add. */}}
{{- define "slipway.additions.taken" -}}
{{- $variables := list "SLIPWAY_SECRETS_DIR" }}
{{- range include "slipway.settings.reserved" . | fromYamlArray }}
{{- $variables = append $variables (printf "SLIPWAY_%s" .) }}
{{- end }}
{{- range $group, $fields := .Values.config }}
{{- range $field, $_ := $fields }}
{{- $variables = append $variables (printf "SLIPWAY_%s__%s" $group $field | upper) }}
{{- end }}
{{- end }}
- values: [extraEnv]
  names: {{ toJson $variables }}
  fix: set the chart's value for it, such as listen, drain, externalDatabase, externalRedis or config, or a Secret.
- values: [extraVolumes]
  names: [tmp, secrets, authorities, clients, backups]
  fix: choose another name.
- values: [extraInitContainers, extraContainers]
  names: [server, gate, migration, purge, backup, restore, clients, cron]
  fix: choose another name.
{{- end }}
