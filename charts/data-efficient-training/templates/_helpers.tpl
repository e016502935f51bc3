{{- define "det.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "det.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "det.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "det.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Name of what belongs to the whole cluster: two releases in two namespaces must not meet. */}}
{{- define "det.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "det.fullname" .) }}
{{- end }}

{{/* The same where no colon is allowed. */}}
{{- define "det.policyName" -}}
{{- printf "%s.%s" (include "det.fullname" .) .Release.Namespace }}
{{- end }}

{{- define "det.serviceAccount" -}}
{{- default (ternary (include "det.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "det.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "det.selector" -}}
app.kubernetes.io/name: {{ include "det.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "det.labels" -}}
{{ include "det.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* By which a Prometheus of kube-prometheus-stack selects what it scrapes and evaluates. */}}
{{- define "det.stackLabels" -}}
{{- if .Values.kubePrometheusStack.enabled -}}
release: {{ .Values.kubePrometheusStack.release }}
{{- end }}
{{- end }}

{{- define "det.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "det.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* What the operator must be able to do where the resources are, and no more. */}}
{{- define "det.rules" -}}
- apiGroups: [dataefficient.training]
  resources: [dataefficienttrainings]
  verbs: [get, list, watch]
- apiGroups: [dataefficient.training]
  resources: [dataefficienttrainings/status]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, create, update, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [get, create, patch]
{{- end }}
