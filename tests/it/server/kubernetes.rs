//! The chart in `deploy/chart`, rendered by Helm's own library and checked against the schemas of Kubernetes; and a real
//! server, started with what it renders. There is no Kubernetes here: docs/guide/kubernetes.md says what that leaves out.
//!
//! More than 400 lines: the renderings of one chart, each with its checks.

use iof_tests::{
    guests::{built, root},
    server::{Server, program},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

/// Values with which one node is rendered, and those of a fleet.
const ONE: &str = "{auth: {secret: iof-auth}}";
const FLEET: &str = "{replicas: 3, auth: {secret: a}, secrets: {secret: s}, store: {secret: d}, sources: {claim: c}}";

fn chart(task: &str, asked: &Value) -> Value {
    let python = built("kubernetes/bin/python");
    assert!(
        python.is_file(),
        "`cargo xtask test` fetches {}",
        python.display()
    );
    let mut child = Command::new(python)
        .arg(root().join("tests/kubernetes/chart.py"))
        .arg(root().join("deploy/chart"))
        .arg(task)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(asked.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn render(values: &str) -> Value {
    let rendered = chart("render", &json!({ "values": values }));
    assert_eq!(rendered["error"], Value::Null, "{values}");
    rendered
}

/// The only object of a kind, or `null`.
fn object<'a>(rendered: &'a Value, kind: &str) -> &'a Value {
    let objects = rendered["objects"].as_array().unwrap();
    let mut of_kind = objects.iter().filter(|object| {
        object["kind"] == kind && object["metadata"]["annotations"]["helm.sh/hook"].is_null()
    });
    let object = of_kind.next().unwrap_or(&Value::Null);
    assert!(of_kind.next().is_none(), "{kind}");
    object
}

fn workload(rendered: &Value) -> &Value {
    let fleet = object(rendered, "Deployment");
    match fleet.is_null() {
        true => object(rendered, "StatefulSet"),
        false => fleet,
    }
}

fn pod(rendered: &Value) -> &Value {
    &workload(rendered)["spec"]["template"]["spec"]
}

fn kinds(rendered: &Value) -> BTreeSet<&str> {
    let objects = rendered["objects"].as_array().unwrap().iter();
    objects
        .map(|object| object["kind"].as_str().unwrap())
        .collect()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

#[test]
fn helm_and_the_schemas_of_kubernetes_accept_the_chart() {
    let everything = format!(
        "{{ingress: {{enabled: true, host: f.example.com, tlsSecret: t, className: nginx, annotations: {{a: b}}}}, \
           autoscaling: {{enabled: true}}, proxies: [10.1.0.0/16], publicUrl: 'https://f.example.com', \
           config: \"[limits]\\nwall_time = \\\"5s\\\"\\n\", nodeSelector: {{a: b}}, tolerations: [{{key: a}}], \
           affinity: {{nodeAffinity: {{}}}}, priorityClassName: high, podLabels: {{a: b}}, podAnnotations: {{a: b}}, \
           image: {{pullSecrets: [p]}}, service: {{annotations: {{a: b}}}}, networkPolicy: {{from: [{{podSelector: {{}}}}], \
           metricsFrom: [{{podSelector: {{}}}}], egress: [{{}}]}}, {}",
        FLEET.trim_start_matches('{')
    );
    let claim = "{auth: {secret: a}, volume: {existingClaim: mine}, networkPolicy: {enabled: false}, metrics: {port: 0}}";
    let class = "{auth: {secret: a}, volume: {storageClass: fast, size: 1Ti}}";
    let url = "{auth: {secret: a}, secrets: {secret: s}, store: {url: 'postgres://iof@db/iof', caSecret: ca}, sources: {claim: c}}";
    for values in [ONE, FLEET, &everything, claim, class, url] {
        let rendered = render(values);
        let problems = chart("validate", &rendered);
        assert_eq!(problems, json!([]), "{values}");
        let report = chart("lint", &json!({ "values": values }));
        assert_eq!(report["errors"], json!([]), "{values}");
        let messages = report["messages"].as_array().unwrap();
        // Information has the severity 1: the chart has no icon.
        let worse: Vec<_> = messages
            .iter()
            .filter(|message| message["severity"].as_u64() != Some(1))
            .collect();
        assert!(worse.is_empty(), "{values}: {worse:?}");
        // Kinds that every cluster has: no definition of others, nothing on machines, no rights.
        let known = [
            "ConfigMap",
            "Deployment",
            "HorizontalPodAutoscaler",
            "Ingress",
            "NetworkPolicy",
            "Pod",
            "PodDisruptionBudget",
            "Service",
            "StatefulSet",
        ];
        assert!(kinds(&rendered).is_subset(&known.into()), "{values}");
    }
    // The validator refuses what it does not know.
    let mut wrong = render(ONE);
    let objects = wrong["objects"].as_array_mut().unwrap();
    let set = objects
        .iter_mut()
        .find(|object| object["kind"] == "StatefulSet")
        .unwrap();
    set["spec"]["replica"] = json!(1);
    let problems = chart("validate", &wrong);
    assert!(problems.to_string().contains("replica"), "{problems}");
}

#[test]
fn values_that_cannot_work_are_refused_with_the_next_step() {
    let with = |more: &str, of: &str| format!("{{{more}, {}", of.trim_start_matches('{'));
    let cases = [
        ("{}".to_owned(), "auth.secret is empty"),
        (with("replicas: 2", ONE), "replicas is 2 without store.url"),
        (
            with("autoscaling: {enabled: true}", ONE),
            "autoscaling.enabled without store.url",
        ),
        (
            with("sources: {claim: c}", ONE),
            "sources.claim is set without store.url",
        ),
        (
            with("ingress: {enabled: true}", ONE),
            "ingress.enabled without ingress.host",
        ),
        (
            with("volume: {existingClaim: mine}", FLEET),
            "volume.existingClaim is set, and store.*",
        ),
        (
            with("autoscaling: {enabled: true, min: 9, max: 3}", FLEET),
            "autoscaling.min is more than",
        ),
        (
            with("autoscaling: {enabled: true}, metrics: {port: 0}", FLEET),
            "autoscaling.enabled with metrics.port=0",
        ),
        (
            FLEET.replace("secrets: {secret: s}, ", ""),
            "store.* is set without secrets.secret",
        ),
        (
            FLEET.replace(", sources: {claim: c}", ""),
            "store.* is set without sources.claim",
        ),
        (
            FLEET.replace("store: {", "store: {url: 'postgres://db/iof', "),
            "store.url and store.secret are both set",
        ),
        // What the schema refuses: a word that is not a value, a password in plain sight, values of another form.
        (with("replica: 2", ONE), "replica"),
        (with("replicas: 0", ONE), "replicas"),
        (with("replicas: two", ONE), "replicas"),
        (with("service: {prot: 80}", ONE), "prot"),
        (with("volume: {size: large}", ONE), "size"),
        (with("proxies: [gateway]", ONE), "proxies"),
        (with("publicUrl: functions.example.com", ONE), "publicUrl"),
        (
            FLEET.replace("{secret: d}", "{url: 'postgres://iof:hunter2@db/iof'}"),
            "url",
        ),
    ];
    for (values, expected) in cases {
        let rendered = chart("render", &json!({ "values": values }));
        let error = rendered["error"].as_str().unwrap_or_default();
        assert!(error.contains(expected), "{values}: {rendered}");
    }
}

/// One pod at a time owns the volume; the nodes of a fleet own nothing, and are replaced one by one.
#[test]
fn one_node_has_a_volume_and_a_fleet_has_none() {
    let one = render(ONE);
    assert!(object(&one, "Deployment").is_null() && object(&one, "PodDisruptionBudget").is_null());
    let set = object(&one, "StatefulSet");
    assert_eq!(set["spec"]["replicas"], 1);
    assert_eq!(
        set["spec"]["volumeClaimTemplates"][0]["metadata"]["name"],
        "data"
    );

    let fleet = render(FLEET);
    assert!(object(&fleet, "StatefulSet").is_null());
    let nodes = object(&fleet, "Deployment");
    assert_eq!(nodes["spec"]["replicas"], 3);
    assert_eq!(
        nodes["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"],
        0
    );
    let volumes = pod(&fleet)["volumes"].as_array().unwrap();
    // But for the modules, which all share.
    let claims: Vec<_> = volumes
        .iter()
        .map(|volume| &volume["persistentVolumeClaim"]["claimName"])
        .filter(|claim| !claim.is_null())
        .collect();
    assert_eq!(claims, ["c"]);
    let spread = pod(&fleet)["topologySpreadConstraints"].as_array().unwrap();
    let keys: Vec<_> = spread
        .iter()
        .map(|of| of["topologyKey"].as_str().unwrap())
        .collect();
    assert_eq!(
        keys,
        ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    );
    let labels = &nodes["spec"]["template"]["metadata"]["labels"];
    for selector in [
        &nodes["spec"]["selector"]["matchLabels"],
        &object(&fleet, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        &object(&fleet, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        &object(&fleet, "Service")["spec"]["selector"],
        &spread[0]["labelSelector"]["matchLabels"],
    ] {
        let selector = selector.as_object().unwrap();
        assert!(!selector.is_empty());
        for (name, value) in selector {
            assert_eq!(&labels[name], value, "{name}");
        }
    }
    // With an autoscaler, the number of nodes is its own.
    let scaled = render(&FLEET.replace("{replicas: 3", "{autoscaling: {enabled: true}"));
    assert!(object(&scaled, "Deployment")["spec"]["replicas"].is_null());
    let target = &object(&scaled, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"];
    assert_eq!(
        target["name"],
        object(&scaled, "Deployment")["metadata"]["name"]
    );
    assert_eq!(target["kind"], "Deployment");
}

#[test]
fn pods_have_no_rights() {
    for values in [ONE, FLEET] {
        let rendered = render(values);
        for object in rendered["objects"].as_array().unwrap() {
            let pod = match object["kind"].as_str().unwrap() {
                "Pod" => &object["spec"],
                "StatefulSet" | "Deployment" => &object["spec"]["template"]["spec"],
                _ => continue,
            };
            assert_eq!(pod["automountServiceAccountToken"], false);
            // Variables of a service `iof-x` would be settings that do not exist.
            assert_eq!(pod["enableServiceLinks"], false);
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(pod["securityContext"]["runAsUser"], 65532);
            assert_eq!(
                pod["securityContext"]["seccompProfile"]["type"],
                "RuntimeDefault"
            );
            for field in ["hostNetwork", "hostPID", "hostIPC", "initContainers"] {
                assert!(pod[field].is_null(), "{field}");
            }
            for container in pod["containers"].as_array().unwrap() {
                let context = &container["securityContext"];
                assert_eq!(context["readOnlyRootFilesystem"], true);
                assert_eq!(context["allowPrivilegeEscalation"], false);
                assert_eq!(context["capabilities"], json!({ "drop": ["ALL"] }));
            }
        }
        // A secret is named, and never in the text.
        for (name, _) in secrets(&rendered) {
            assert!(name.starts_with("IOF_"), "{name}");
        }
    }
}

/// The variables of the container whose values are in secrets.
fn secrets(rendered: &Value) -> Vec<(String, Value)> {
    let variables = pod(rendered)["containers"][0]["env"].as_array().unwrap();
    let of_secrets = variables
        .iter()
        .filter(|variable| variable["value"].is_null());
    of_secrets
        .map(|variable| {
            let from = variable["valueFrom"]["secretKeyRef"].clone();
            assert!(
                from["name"].is_string() && from["key"].is_string(),
                "{variable}"
            );
            (variable["name"].as_str().unwrap().to_owned(), from)
        })
        .collect()
}

/// A stop has the time that its parts take: until others know, until calls have ended, and until the rest is written.
#[test]
fn the_time_of_a_stop_is_enough() {
    for (values, drain, calls) in [
        (ONE.to_owned(), 5, 40),
        (
            ONE.replace("{auth", "{shutdown: {drain: 20, calls: 600}, auth"),
            20,
            600,
        ),
    ] {
        let rendered = render(&values);
        let pod = pod(&rendered);
        let container = &pod["containers"][0];
        assert_eq!(container["lifecycle"]["preStop"]["sleep"]["seconds"], drain);
        let variables = container["env"].as_array().unwrap();
        let wait = json!({ "name": "IOF_SERVER_STOP_WAIT", "value": format!("{calls}s") });
        assert!(variables.contains(&wait), "{variables:?}");
        assert_eq!(pod["terminationGracePeriodSeconds"], drain + calls + 15);
    }
}

/// The real server accepts what the chart gives it, and answers its probes as a node calls them.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_with_what_the_chart_renders_and_answers_its_probes() {
    let config = "  # Settings that begin with blanks.\n[limits]\nwall_time = \"7s\"\n";
    let values = json!({
        "auth": { "secret": "a" }, "secrets": { "secret": "s" }, "config": config,
        "publicUrl": "https://f.example.com", "proxies": ["10.1.0.0/16", "10.2.0.7/32"],
    });
    let rendered = render(&values.to_string());
    let container = &pod(&rendered)["containers"][0];
    let file = &object(&rendered, "ConfigMap")["data"]["iof.toml"];
    assert_eq!(file, config);
    let args: Vec<_> = container["args"].as_array().unwrap().iter().collect();
    assert_eq!(args, ["serve", "--config", "/etc/iof/iof.toml"]);
    let mut environment: BTreeMap<String, String> = secrets(&rendered)
        .into_iter()
        .map(|(name, _)| (name, "0123456789abcdef".repeat(4)))
        .collect();
    for variable in container["env"].as_array().unwrap() {
        if let Some(value) = variable["value"].as_str() {
            let name = variable["name"].as_str().unwrap().to_owned();
            environment.insert(name, value.to_owned());
        }
    }
    let known: Vec<_> = environment.keys().map(String::as_str).collect();
    assert_eq!(
        known,
        [
            "IOF_AUTH_KEYS",
            "IOF_DATA",
            "IOF_LISTEN",
            "IOF_LOG_FORMAT",
            "IOF_METRICS_LISTEN",
            "IOF_PUBLIC_URL",
            "IOF_SECRETS_KEYS",
            "IOF_SERVER_PROXIES",
            "IOF_SERVER_STOP_WAIT"
        ]
    );
    // The ports of the container are those that the server would listen on.
    let ports: Vec<_> = container["ports"].as_array().unwrap().iter().collect();
    for (port, variable) in ports.iter().zip(["IOF_LISTEN", "IOF_METRICS_LISTEN"]) {
        assert_eq!(
            environment[variable],
            format!("0.0.0.0:{}", port["containerPort"])
        );
    }
    // The data, its address and that of the metrics are the test's own.
    let mut builder = Server::builder().config(config);
    for (name, value) in &environment {
        if !["IOF_DATA", "IOF_LISTEN"].contains(&name.as_str()) {
            builder = builder.env(name, value.replace("0.0.0.0:9464", "127.0.0.1:0"));
        }
    }
    let server = builder.start().await;
    let port = server.url.rsplit_once(':').unwrap().1.to_owned();
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let get = &container[probe]["httpGet"];
        assert_eq!(get["port"], "http");
        // A node names the pod by its address, not by the server's name.
        let request = server
            .request("GET", get["path"].as_str().unwrap())
            .header("host", format!("10.244.1.7:{port}"));
        assert_eq!(server.answer(request).await.http, 200, "{probe}");
    }
    let printed = Command::new(program())
        .args(["serve", "--print-config"])
        .env_clear()
        .envs(&environment)
        .output()
        .unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    for line in [
        "stop_wait = \"40s\"",
        "proxies = [\"10.1.0.0/16\", \"10.2.0.7/32\"]",
    ] {
        assert!(printed.contains(line), "{line} in\n{printed}");
    }
}

/// The autoscaler asks for metrics that the adapter has, out of series that the rules record, out of metrics that exist.
#[test]
fn the_autoscaler_reads_metrics_that_exist() {
    let fleet = render(&FLEET.replace("{replicas: 3", "{autoscaling: {enabled: true}"));
    let metrics = &object(&fleet, "HorizontalPodAutoscaler")["spec"]["metrics"];
    let asked = [
        ("custom", &metrics[0]["pods"]["metric"]["name"]),
        ("external", &metrics[1]["external"]["metric"]["name"]),
    ];
    let adapter = read("deploy/prometheus/iof.adapter.yml");
    let adapter = chart("read", &json!({ "yaml": adapter }));
    let rules = read("deploy/prometheus/iof.scaling.yml");
    let rules = chart("read", &json!({ "yaml": rules }));
    let recorded = rules["groups"][0]["rules"].as_array().unwrap();
    let documented = read("docs/metrics.md");
    let metrics = regex::Regex::new(r"\biof_[a-z_]+[a-z]").unwrap();
    for (kind, name) in asked {
        let given = adapter["rules"][kind].as_array().unwrap();
        let rule = given.iter().find(|rule| &rule["name"]["as"] == name);
        let rule = rule.unwrap_or_else(|| panic!("{name}: {adapter}"));
        let series = rule["seriesQuery"].as_str().unwrap();
        let series = series.split('{').next().unwrap();
        let record = recorded.iter().find(|rule| rule["record"] == series);
        let expression = record.unwrap_or_else(|| panic!("{series}: {rules}"))["expr"].to_string();
        let mut found = 0;
        for metric in metrics.find_iter(&expression) {
            let metric = metric.as_str().trim_end_matches("_bucket");
            assert!(documented.contains(&format!("`{metric}`")), "{metric}");
            found += 1;
        }
        assert!(found > 0, "{expression}");
    }
}

/// The manifests for `kubectl apply` are the rendered chart. `IOF_WRITE_DOCS=1` writes them.
#[test]
fn plain_manifests_are_the_rendered_chart() {
    let empty = regex::Regex::new(r"\n{2,}").unwrap();
    for name in ["one-node", "fleet"] {
        let values = format!("deploy/kubernetes/{name}.values.yaml");
        let rendered = render(&read(&values));
        let mut text = format!(
            "# deploy/chart with {values}, as `helm template iof` writes it. A test compares them.\n"
        );
        for (file, part) in rendered["files"].as_object().unwrap() {
            if file.ends_with("NOTES.txt") || file.contains("/tests/") {
                continue;
            }
            let part = empty.replace_all(part.as_str().unwrap().trim(), "\n");
            text += &format!("---\n{part}\n");
        }
        let file = root().join(format!("deploy/kubernetes/{name}.yaml"));
        if std::env::var_os("IOF_WRITE_DOCS").is_some() {
            fs::write(&file, &text).unwrap();
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), text, "{name}");
    }
}

/// A restore runs as the server does, and its manifest is one that Kubernetes accepts.
#[test]
fn the_pod_of_a_restore_is_valid() {
    let python = "import json, sys, yaml; print(json.dumps({'objects': list(yaml.safe_load_all(sys.stdin))}))";
    let read = Command::new(built("kubernetes/bin/python"))
        .args(["-c", python])
        .stdin(fs::File::open(root().join("deploy/kubernetes/restore.yaml")).unwrap())
        .output()
        .unwrap();
    let restore: Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(chart("validate", &restore), json!([]));
    let restoring = &object(&restore, "Pod")["spec"];
    let one = render("{auth: {secret: a}, volume: {existingClaim: iof-restored}}");
    let serving = pod(&one);
    let mut context = serving["securityContext"].clone();
    context
        .as_object_mut()
        .unwrap()
        .remove("fsGroupChangePolicy");
    assert_eq!(restoring["securityContext"], context);
    let (restoring, serving) = (&restoring["containers"][0], &serving["containers"][0]);
    for field in ["image", "securityContext"] {
        assert_eq!(restoring[field], serving[field], "{field}");
    }
    let claimed = object(&restore, "PersistentVolumeClaim")["metadata"]["name"].clone();
    let volumes = pod(&one)["volumes"].as_array().unwrap();
    let data = volumes
        .iter()
        .find(|volume| volume["name"] == "data")
        .unwrap();
    assert_eq!(data["persistentVolumeClaim"]["claimName"], claimed);
}

/// Each value is described, is in the schema, and does something.
#[test]
fn every_value_is_described_and_used() {
    let text = read("deploy/chart/values.yaml");
    let values = chart("read", &json!({ "yaml": text }));
    let schema: Value = serde_json::from_str(&read("deploy/chart/values.schema.json")).unwrap();
    let mut templates = String::new();
    for file in fs::read_dir(root().join("deploy/chart/templates")).unwrap() {
        let file = file.unwrap().path();
        if file.is_file() {
            templates += &fs::read_to_string(file).unwrap();
        }
    }
    same(&values, &schema["properties"], "", &templates);
    // A table of the page has each of them.
    let page = read("docs/guide/kubernetes.md");
    for name in values.as_object().unwrap().keys() {
        assert!(page.contains(&format!("`{name}")), "{name}");
    }
    assert_eq!(
        read("deploy/chart/Chart.yaml")
            .matches(env!("CARGO_PKG_VERSION"))
            .count(),
        2
    );
}

fn same(values: &Value, schema: &Value, above: &str, templates: &str) {
    let known = schema.as_object().unwrap().keys();
    let names: BTreeSet<_> = values.as_object().unwrap().keys().collect();
    let known: BTreeSet<_> = known.filter(|name| *name != "global").collect();
    assert_eq!(names, known, "{above}");
    for (name, value) in values.as_object().unwrap() {
        let path = format!("{above}.{name}");
        let below = &schema[name]["properties"];
        if below.is_object() {
            assert_eq!(schema[name]["additionalProperties"], false, "{path}");
        }
        // Resources are passed on whole; a secret and its key go to a helper.
        let whole = templates.contains(&format!("Values{path} |")) && above.is_empty()
            || templates.contains(&format!(".Values{path})"));
        match value.is_object() && below.is_object() && !whole {
            true => same(value, below, &path, templates),
            false => assert!(
                templates.contains(&format!("alues{path}")),
                "{path} is not used"
            ),
        }
    }
}
