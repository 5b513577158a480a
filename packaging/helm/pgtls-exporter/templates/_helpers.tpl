{{- define "pgtls.fullname" -}}
{{- if contains "pgtls-exporter" .Release.Name -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-pgtls-exporter" (.Release.Name | trunc 37 | trimSuffix "-") }}
{{- end -}}
{{- end -}}

{{/* The name is the job that the shipped alerts and dashboards look for. */}}
{{- define "pgtls.selector" -}}
app.kubernetes.io/name: pgtls
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "pgtls.labels" -}}
{{ include "pgtls.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "pgtls.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}
