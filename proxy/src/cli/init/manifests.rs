//! The objects around a workload, as templates: `@NAME@` and the like stand for what differs. spec: cli-and-image §15.2

/// `pipelock.yaml` in a ConfigMap; `@CONFIG@` is indented by four.
pub(super) const CONFIG_MAP: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: @PROXY@
  namespace: @NAMESPACE@
  labels:
@LABELS@
data:
  pipelock.yaml: |
@CONFIG@
";

pub(super) const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: @PROXY@
  namespace: @NAMESPACE@
  labels:
@LABELS@
spec:
  replicas: 2
  selector:
    matchLabels:
      app.kubernetes.io/name: pipelock
      app.kubernetes.io/instance: @PROXY@
  template:
    metadata:
      labels:
        app.kubernetes.io/name: pipelock
        app.kubernetes.io/instance: @PROXY@
        app.kubernetes.io/component: companion-proxy
    spec:
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        runAsUser: 65534
        runAsGroup: 65534
        seccompProfile:
          type: RuntimeDefault
      affinity:
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 100
              podAffinityTerm:
                topologyKey: kubernetes.io/hostname
                labelSelector:
                  matchLabels:
                    app.kubernetes.io/name: pipelock
                    app.kubernetes.io/instance: @PROXY@
      containers:
        - name: pipelock
          image: @IMAGE@
          imagePullPolicy: IfNotPresent
          args: [run, --config, /etc/pipelock/pipelock.yaml]
          ports:
            - name: http
              containerPort: 8888
            - name: metrics
              containerPort: 9091
          readinessProbe:
            httpGet:
              path: /health
              port: http
            initialDelaySeconds: 2
            periodSeconds: 10
          livenessProbe:
            httpGet:
              path: /health
              port: http
            initialDelaySeconds: 5
            periodSeconds: 30
          resources:
            requests:
              cpu: 100m
              memory: 128Mi
            limits:
              cpu: 500m
              memory: 512Mi
          securityContext:
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            runAsNonRoot: true
            runAsUser: 65534
            capabilities:
              drop: [ALL]
          volumeMounts:
            - name: config
              mountPath: /etc/pipelock
              readOnly: true
      volumes:
        - name: config
          configMap:
            name: @PROXY@
";

pub(super) const SERVICE: &str = "apiVersion: v1
kind: Service
metadata:
  name: @PROXY@
  namespace: @NAMESPACE@
  labels:
@LABELS@
spec:
  type: ClusterIP
  selector:
    app.kubernetes.io/name: pipelock
    app.kubernetes.io/instance: @PROXY@
  ports:
    - name: http
      port: 8888
      targetPort: http
    - name: metrics
      port: 9091
      targetPort: metrics
";

/// `@AGENT@` is the labels of the agent's pods, indented by six.
pub(super) const AGENT_POLICY: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: @WORKLOAD@-pipelock-egress
  namespace: @NAMESPACE@
  labels:
@LABELS@
spec:
  podSelector:
    matchLabels:
@AGENT@
  policyTypes: [Egress]
  egress:
    - ports:
        - {protocol: UDP, port: 53}
        - {protocol: TCP, port: 53}
    - to:
        - podSelector:
            matchLabels:
              app.kubernetes.io/name: pipelock
              app.kubernetes.io/instance: @PROXY@
      ports:
        - {protocol: TCP, port: 8888}
";

/// Metrics are there for the cluster's collectors, wherever they run; the agent's own policy keeps it from that port.
/// `@DEEP@` is the labels of the agent's pods, indented by fourteen.
pub(super) const PROXY_POLICY: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: @PROXY@-policy
  namespace: @NAMESPACE@
  labels:
@LABELS@
spec:
  podSelector:
    matchLabels:
      app.kubernetes.io/name: pipelock
      app.kubernetes.io/instance: @PROXY@
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - podSelector:
            matchLabels:
@DEEP@
      ports:
        - {protocol: TCP, port: 8888}
    - from:
        - namespaceSelector: {}
      ports:
        - {protocol: TCP, port: 9091}
  egress:
    - ports:
        - {protocol: UDP, port: 53}
        - {protocol: TCP, port: 53}
        - {protocol: TCP, port: 80}
        - {protocol: TCP, port: 443}
";

pub(super) const DISRUPTION_BUDGET: &str = "apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: @PROXY@-pdb
  namespace: @NAMESPACE@
  labels:
@LABELS@
spec:
  minAvailable: 1
  selector:
    matchLabels:
      app.kubernetes.io/name: pipelock
      app.kubernetes.io/instance: @PROXY@
";

/// The labels of everything that is made here; indented by four.
pub(super) const LABELS: &str = "    app.kubernetes.io/name: pipelock
    app.kubernetes.io/instance: @PROXY@
    app.kubernetes.io/component: companion-proxy
    app.kubernetes.io/managed-by: pipelock-init-sidecar
    app.kubernetes.io/version: @VERSION@";

pub(super) const KUSTOMIZATION: &str = "apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: @NAMESPACE@
resources:
@FILES@";

/// Values of the chart; `@CONFIG@` is indented by two.
pub(super) const VALUES: &str = "fullnameOverride: @PROXY@
replicaCount: 2
image:
@CHART_IMAGE@
resources:
  requests: {cpu: 100m, memory: 128Mi}
  limits: {cpu: 500m, memory: 512Mi}
pipelock:
@CONFIG@
";

pub(super) const README: &str = "A proxy for @KIND@ @WORKLOAD@ in namespace @NAMESPACE@.

1. helm upgrade --install @PROXY@ pipelock/pipelock --namespace @NAMESPACE@ -f values.yaml
2. kubectl apply -f agent-networkpolicy.yaml -f pipelock-networkpolicy.yaml -f pipelock-pdb.yaml
3. kubectl apply -f agent-workload.yaml

The workload reaches the network only through @URL@ from then on. Network policies need a network plugin that enforces them.
";
