//! What lies in `deploy/`, the image, and the health check that all of them use. There is no cluster, no container engine and no
//! service manager here: it is held against the sources instead.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use crate::process::{Ended, Process, Stage, own_address};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    yaml_serde::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn schema() -> Value {
    serde_json::from_str(&text("deploy/helm/crosspage/values.schema.json")).unwrap()
}

/// All files below a folder.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

/// The chart's templates, by name.
fn templates() -> BTreeMap<String, String> {
    let files = files("deploy/helm/crosspage/templates");
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// A list of keys that the configuration has: `KEYS` or `SECRETS`.
fn keys(list: &str) -> BTreeSet<String> {
    let source = text("src/config/vars.rs");
    let list = source.split(&format!("const {list}: ")).nth(1).unwrap().split("];").next().unwrap();
    let keys: BTreeSet<String> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(keys.len() >= 5, "the keys: {keys:?}");
    keys
}

fn keys_of(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

/// What the settings of a unit called `name` are set to, in order.
fn settings<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

/// The environment that each way to run crosspage gives it, with the values.
fn environments() -> Vec<(&'static str, BTreeMap<String, String>)> {
    let pair = |line: &str| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    let compose = yaml("deploy/compose.yaml");
    let compose = compose["services"]["crosspage"]["environment"].as_object().unwrap();
    let compose = compose.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
    let mut unit: BTreeMap<_, _> =
        settings(&text("deploy/systemd/crosspage.service"), "Environment").into_iter().filter_map(pair).collect();
    let file = text("deploy/systemd/crosspage.env");
    // What is commented out is an example of what can be given.
    let lines = file.lines().map(|line| line.trim_start_matches("# "));
    unit.extend(lines.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase())).filter_map(pair));
    let mut chart: BTreeMap<String, String> = BTreeMap::new();
    let template = &templates()["statefulset.yaml"];
    for name in template.split("- name: ").skip(1).filter_map(|rest| rest.lines().next()) {
        if name.starts_with(|c: char| c.is_ascii_uppercase()) {
            chart.insert(name.to_owned(), String::new());
        }
    }
    for values in ["deploy/helm/crosspage/values.yaml", "deploy/helm/values-example.yaml"] {
        let values = yaml(values);
        chart.extend(keys_of(&values["config"]).into_iter().map(|key| (key, String::new())));
        chart.extend(keys_of(&values["secret"]["keys"]).into_iter().map(|key| (format!("{key}_FILE"), String::new())));
    }
    vec![("compose", compose), ("systemd", unit), ("the chart", chart)]
}

#[test]
fn every_yaml_file_can_be_read() {
    let is_yaml = |path: &&PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("yaml" | "yml")) && !path.iter().any(|part| part == "templates")
    };
    let files = files("deploy");
    let read = files.iter().filter(is_yaml).map(|path| yaml(path.to_str().unwrap()));
    assert!(read.inspect(|value| assert!(value.is_object(), "{value}")).count() >= 4);
}

#[test]
fn what_is_given_is_known_and_what_is_required_is_given() {
    let (known, secrets) = (keys("KEYS"), keys("SECRETS"));
    let required = text("src/config/mod.rs");
    let required: BTreeSet<&str> = known
        .iter()
        .map(String::as_str)
        .filter(|key| {
            required.contains(&format!("vars.required(\"{key}\""))
                || required.contains(&format!("vars.required(\n                \"{key}\""))
        })
        .collect();
    assert_eq!(required.len(), 7, "{required:?}");
    for (way, environment) in environments() {
        for key in environment.keys() {
            let secret = key.strip_suffix("_FILE").filter(|key| secrets.contains(*key));
            assert!(known.contains(key) || secret.is_some(), "{way} gives {key}, which no configuration reads");
            assert!(!secrets.contains(key), "{way} gives {key} itself, and not by a file");
        }
        for key in &required {
            let given = environment.contains_key(*key) || environment.contains_key(&format!("{key}_FILE"));
            assert!(given, "{way} does not give {key}");
        }
    }
}

#[test]
fn every_secret_comes_from_a_file_that_is_there() {
    let of_files = |environment: &BTreeMap<String, String>, folder: &str| -> Vec<String> {
        let paths = environment.iter().filter(|(key, _)| key.ends_with("_FILE"));
        paths.map(|(_, path)| path.strip_prefix(folder).unwrap_or_else(|| panic!("{path}")).to_owned()).collect()
    };
    let environments: BTreeMap<_, _> = environments().into_iter().collect();
    let compose = yaml("deploy/compose.yaml");
    let given = of_files(&environments["compose"], "/run/secrets/");
    assert!(given.len() >= 4, "{given:?}");
    for name in &given {
        let mounted = compose["services"]["crosspage"]["secrets"].as_array().unwrap();
        assert!(mounted.contains(&json!(name)), "compose does not hand over {name}");
        assert_eq!(compose["secrets"][name]["file"], format!("./secrets/{name}"));
    }
    let unit = text("deploy/systemd/crosspage.service");
    let loaded = settings(&unit, "LoadCredential");
    let given = of_files(&environments["systemd"], "%d/");
    assert!(given.len() >= 4, "{given:?}");
    for name in &given {
        let file = format!("/etc/crosspage/secrets/{name}");
        assert!(loaded.contains(&format!("{name}:{file}").as_str()), "{name} is not loaded");
    }
    for (name, template) in templates() {
        assert!(!template.contains("kind: Secret"), "{name} makes a Secret: what is given to Helm lies in its release");
    }
}

/// What `crosspage-command` runs on a host with these secrets, where the service is active or not: a line an argument, and
/// before them the settings that the command is given.
fn command_on_a_host(is_active: bool) -> Vec<String> {
    let host = tempfile::tempdir().unwrap();
    let at = |path: &str| host.path().join(path);
    let script = |path: &str, text: &str| {
        fs::write(at(path), format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(at(path), fs::Permissions::from_mode(0o755)).unwrap();
    };
    fs::create_dir_all(at("etc/secrets")).unwrap();
    for secret in ["pagerduty_api_key", "admin_token"] {
        fs::write(at("etc/secrets").join(secret), "hunter2").unwrap();
    }
    fs::write(at("etc/crosspage.env"), "PAGERDUTY_USER='Cross Page'\n").unwrap();
    script("systemctl", if is_active { "exit 0" } else { "exit 3" });
    script("systemd-run", "printf '%s\\n' \"$@\"");
    script("crosspage", "env; printf '%s\\n' \"$@\"");
    let told = text("deploy/systemd/crosspage-command")
        .replace("/etc/crosspage", at("etc").to_str().unwrap())
        .replace("/usr/local/bin/crosspage", at("crosspage").to_str().unwrap());
    script("command", &told);
    let path = format!("{}:{}", host.path().display(), std::env::var("PATH").unwrap());
    let arguments = ["links", "pause", "A", "--reason", "two words"];
    let ran = Command::new(at("command")).args(arguments).env_clear().env("PATH", path).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let said = String::from_utf8(ran.stdout).unwrap().replace(host.path().to_str().unwrap(), "");
    assert!(!said.contains("hunter2"), "{said}");
    assert!(said.ends_with("links\npause\nA\n--reason\ntwo words\n"), "{said}");
    said.lines().map(str::to_owned).collect()
}

#[test]
fn commands_have_the_settings_of_the_service_whether_it_runs_or_not() {
    let running = command_on_a_host(true);
    for told in [
        "PAGERDUTY_USER=Cross Page",
        "DATABASE_URL=sled:///var/lib/crosspage/data",
        "PAGERDUTY_API_KEY_FILE=/etc/secrets/pagerduty_api_key",
        "ADMIN_TOKEN_FILE=/etc/secrets/admin_token",
    ] {
        assert!(running.iter().any(|line| line == told), "{told}: {running:#?}");
    }

    let alone = command_on_a_host(false);
    let unit = alone.iter().find_map(|line| line.strip_prefix("--unit=")).unwrap();
    for told in [
        "--property=DynamicUser=yes",
        "--property=EnvironmentFile=/etc/crosspage.env",
        "--setenv=DATABASE_URL=sled:///var/lib/crosspage/data",
        "--property=LoadCredential=pagerduty_api_key:/etc/secrets/pagerduty_api_key",
        &format!("--setenv=PAGERDUTY_API_KEY_FILE=/run/credentials/{unit}.service/pagerduty_api_key"),
        &format!("--setenv=ADMIN_TOKEN_FILE=/run/credentials/{unit}.service/admin_token"),
    ] {
        assert!(alone.iter().any(|line| line == told), "{told}: {alone:#?}");
    }
    let unit = text("deploy/systemd/crosspage.service");
    assert_eq!(settings(&unit, "Environment")[0], "DATABASE_URL=sled://%S/crosspage/data");
}

#[test]
fn nobody_runs_as_root_and_nothing_but_the_data_can_be_written() {
    let dockerfile = text("Dockerfile");
    let user = dockerfile.lines().filter_map(|line| line.strip_prefix("USER ")).next_back().unwrap();
    let (uid, gid) = user.split_once(':').unwrap();
    assert!(uid.parse::<u32>().unwrap() > 0 && gid.parse::<u32>().unwrap() > 0, "{user}");
    assert!(dockerfile.contains(&format!("--chown={user} /build/data /data")), "the volume is the user's");

    let service = &yaml("deploy/compose.yaml")["services"]["crosspage"];
    assert_eq!((&service["user"], &service["read_only"]), (&json!(user), &json!(true)));
    assert_eq!((&service["cap_drop"], &service["privileged"]), (&json!(["ALL"]), &Value::Null));
    assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]));
    assert_eq!(service["volumes"], json!(["data:/data"]));

    let pod = &templates()["statefulset.yaml"];
    for line in [
        "runAsNonRoot: true",
        &format!("runAsUser: {uid}"),
        &format!("fsGroup: {gid}"),
        "type: RuntimeDefault",
        "allowPrivilegeEscalation: false",
        "readOnlyRootFilesystem: true",
        "drop: [ALL]",
        "automountServiceAccountToken: false",
    ] {
        assert!(pod.contains(line), "the pod should have {line}");
    }
    assert!(templates()["serviceaccount.yaml"].contains("automountServiceAccountToken: false"));

    let unit = text("deploy/systemd/crosspage.service");
    for (name, value) in [
        ("CapabilityBoundingSet", ""),
        ("DynamicUser", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("NoNewPrivileges", "yes"),
        ("PrivateDevices", "yes"),
        ("ProtectHome", "yes"),
        ("ProtectSystem", "strict"),
        ("RestrictNamespaces", "yes"),
        ("StateDirectory", "crosspage"),
        ("StateDirectoryMode", "0700"),
    ] {
        assert_eq!(settings(&unit, name), [value], "{name}");
    }
    assert_eq!(settings(&unit, "SystemCallFilter")[0], "@system-service");
}

#[test]
fn one_store_has_one_owner() {
    let templates = templates();
    let sets = templates.values().flat_map(|text| text.lines()).filter(|line| line.trim().starts_with("replicas:"));
    assert_eq!(sets.map(str::trim).collect::<Vec<_>>(), ["replicas: 1"]);
    let all: String = templates.values().map(String::as_str).collect();
    assert!(all.contains("kind: StatefulSet") && !all.contains("kind: Deployment"));
    assert!(!all.contains("Autoscaler"));
    let service = &yaml("deploy/compose.yaml")["services"]["crosspage"];
    assert_eq!((&service["scale"], &service["deploy"]), (&Value::Null, &Value::Null));
}

/// The values behind `key: ` in a text, without quotes.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let lines = text.lines().map(|line| line.trim().trim_start_matches("- "));
    lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).map(|value| value.trim_matches('"')).collect()
}

#[test]
fn ports_and_paths_are_those_that_are_served() {
    let (server, templates) = (text("src/server.rs"), templates());
    let is_served = |path: &str| server.contains(&format!("route(\"{path}\""));
    assert_eq!(values(&templates["ingress.yaml"], "path"), ["/ops-webhook", "/pd-webhook"]);
    assert_eq!(values(&templates["ingress.yaml"], "pathType"), ["Exact", "Exact"]);
    assert_eq!(values(&templates["statefulset.yaml"], "path")[..3], ["/healthz", "/healthz", "/readyz"]);
    for path in ["/ops-webhook", "/pd-webhook", "/healthz", "/readyz"] {
        assert!(is_served(path), "{path} is not served");
    }
    let example = text(".env-example");
    assert!(example.contains("LISTEN_ADDR=0.0.0.0:5001") && example.contains("ADMIN_ADDR=127.0.0.1:5002"));
    assert!(text("Dockerfile").contains("\nEXPOSE 5001\n"));
    assert_eq!(values(&templates["statefulset.yaml"], "containerPort"), ["5001", "5002"]);
    let ports = &yaml("deploy/compose.yaml")["services"]["crosspage"]["ports"];
    assert_eq!(ports, &json!(["127.0.0.1:5001:5001", "127.0.0.1:5002:5002"]), "for this host alone");
    let operators_own = ["service-operator.yaml", "networkpolicy.yaml", "statefulset.yaml", "NOTES.txt"];
    for (name, template) in &templates {
        assert!(!template.contains("5002") || operators_own.contains(&name.as_str()), "{name} leads to operators");
    }
}

#[test]
fn supervisors_leave_time_to_end_and_do_not_repeat_a_wrong_set_up() {
    let unit = text("deploy/systemd/crosspage.service");
    let setup = text("src/command/mod.rs");
    let setup = setup.split("EXIT_SETUP: u8 = ").nth(1).unwrap().split(';').next().unwrap();
    assert_eq!(settings(&unit, "RestartPreventExitStatus"), [setup]);
    assert_eq!(settings(&unit, "Restart"), ["on-failure"]);
    let more_than_ten = |seconds: &str| seconds.trim_end_matches('s').parse::<u32>().unwrap() > 10;
    assert!(more_than_ten(settings(&unit, "TimeoutStopSec")[0]));
    let compose = yaml("deploy/compose.yaml");
    assert!(more_than_ten(compose["services"]["crosspage"]["stop_grace_period"].as_str().unwrap()));
    assert!(more_than_ten(values(&templates()["statefulset.yaml"], "terminationGracePeriodSeconds")[0]));
}

/// Whether these values, put over the chart's own, are what its schema wants.
fn fits(values: &Value) -> bool {
    fn put_over(own: &mut Value, values: &Value) {
        match (own, values) {
            (Value::Object(own), Value::Object(values)) => {
                for (key, value) in values {
                    put_over(own.entry(key).or_insert(Value::Null), value);
                }
            }
            (own, values) => *own = values.clone(),
        }
    }
    let mut merged = yaml("deploy/helm/crosspage/values.yaml");
    put_over(&mut merged, values);
    jsonschema::is_valid(&schema(), &merged)
}

#[test]
fn the_schema_takes_the_example_and_refuses_what_is_missing_misspelt_or_secret() {
    let example = yaml("deploy/helm/values-example.yaml");
    assert!(fits(&example));
    assert!(!fits(&json!({})), "nothing was chosen");
    for (pointer, key, value) in [
        ("/config", "OPSGENIE_QERY", json!("x")),
        ("/config", "PAGERDUTY_API_KEY", json!("a-secret")),
        ("/image", "repository", json!("")),
        ("/config", "PAGERDUTY_SERVICE_ID", json!("")),
        ("/config", "PAGERDUTY_EMAIL", json!("")),
        ("/config", "PAGERDUTY_USER", json!("")),
        ("/config", "OPSGENIE_INTEGRATION_ID", json!("")),
        ("/secret", "name", json!("")),
        ("/secret", "values", json!({ "ADMIN_TOKEN": "a-secret" })),
        ("/secret/keys", "RUST_LOG", json!("log")),
        ("/prometheusRule", "docs", json!("docs.example.com")),
        ("", "replicas", json!(2)),
    ] {
        let mut wrong = example.clone();
        wrong.pointer_mut(pointer).unwrap()[key] = value;
        assert!(!fits(&wrong), "{pointer}/{key}");
    }
    // Whoever adds a key gives it to the chart as well, but for those that are the chart's own.
    let own: BTreeSet<String> = ["LISTEN_ADDR", "ADMIN_ADDR", "DATABASE_URL"].map(str::to_owned).into();
    let open: BTreeSet<String> = keys("KEYS").difference(&keys("SECRETS")).cloned().collect();
    let taken = keys_of(&schema()["properties"]["config"]["properties"]);
    assert_eq!(taken, open.difference(&own).cloned().collect::<BTreeSet<String>>());
    assert_eq!(keys_of(&schema()["properties"]["secret"]["properties"]["keys"]["properties"]), keys("SECRETS"));
}

#[test]
fn templates_are_whole_and_read_the_values_that_there_are() {
    let mut read = BTreeSet::new();
    for (name, template) in templates() {
        let actions: Vec<&str> =
            template.split("{{").skip(1).map(|rest| rest.trim_start_matches('-').trim_start()).collect();
        let count = |word: &str| actions.iter().filter(|action| action.starts_with(word)).count();
        let opened: usize = ["if ", "with ", "range ", "define "].into_iter().map(count).sum();
        assert_eq!(opened, count("end"), "{name} leaves a block open");
        assert_eq!(template.matches("{{").count(), template.matches("}}").count(), "{name}");
        let ends = |c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_';
        read.extend(template.split(".Values.").skip(1).map(|rest| rest.split(ends).next().unwrap().to_owned()));
    }
    let schema = schema();
    for path in &read {
        let pointer = format!("/properties/{}", path.replace('.', "/properties/"));
        assert!(schema.pointer(&pointer).is_some(), "a template reads .Values.{path}, which the schema does not know");
    }
    for (name, section) in schema["properties"].as_object().unwrap().iter().filter(|(name, _)| *name != "global") {
        let parts = section["properties"].as_object().map(|parts| parts.keys().map(|part| format!("{name}.{part}")));
        let all: Vec<String> = parts.map_or_else(|| vec![name.clone()], Iterator::collect);
        for path in all {
            let by_whole = path.starts_with("config.") && read.contains("config");
            assert!(by_whole || read.iter().any(|read| read.starts_with(&path)), "no template reads .Values.{path}");
        }
    }
}

#[test]
fn the_chart_brings_the_alert_rules_as_they_are() {
    // Helm reads only what lies in the chart, and packs no link.
    let (own, copy) = ("deploy/prometheus/alerts.yaml", "deploy/helm/crosspage/files/alerts.yaml");
    assert!(fs::read(root().join(own)).unwrap() == fs::read(root().join(copy)).unwrap(), "cp {own} {copy}");
    let template = &templates()["prometheusrule.yaml"];
    let put_in = template.lines().find(|line| line.contains(".Files.Get")).unwrap();
    assert!(put_in.contains("\"files/alerts.yaml\"") && put_in.ends_with("| nindent 2 }}"), "{put_in}");
    // Prometheus fills in what stands in braces there, not Helm.
    assert!(text(copy).contains("{{ $value }}") && !template.contains("tpl "));
    let (before, after) = template.split_once(put_in).unwrap();
    assert_eq!((before.lines().next_back(), after.trim()), (Some("spec:"), "{{- end }}"));
    let docs = "https://docs.example.com/crosspage/";
    let rules = text(copy).replace("runbook_url: docs/", &format!("runbook_url: {docs}docs/"));
    assert!(put_in.contains("replace \"runbook_url: docs/\" $docs"), "{put_in}");
    let made: Value = yaml_serde::from_str(&format!("spec:\n  {}\n", rules.replace('\n', "\n  "))).unwrap();
    let (of_chart, rules) = (&made["spec"]["groups"][0]["rules"], &yaml(own)["groups"][0]["rules"]);
    assert_eq!(of_chart.as_array().unwrap().len(), rules.as_array().unwrap().len());
    for (rule, known) in of_chart.as_array().unwrap().iter().zip(rules.as_array().unwrap()) {
        let url = known["annotations"]["runbook_url"].as_str().unwrap();
        assert_eq!(rule["annotations"]["runbook_url"], format!("{docs}{url}"));
        assert_eq!((&rule["expr"], &rule["alert"]), (&known["expr"], &known["alert"]));
    }
}

#[test]
fn the_image_is_built_from_all_that_the_build_reads() {
    let ignore = text(".dockerignore");
    assert!(ignore.lines().any(|line| line == "*"), "nothing goes in unless it is named");
    let named: BTreeSet<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    // Whoever adds something here decides whether the build needs it.
    let unneeded = [
        "Dockerfile",
        "LICENSE",
        "clippy.toml",
        "data",
        "deny.toml",
        "deploy",
        "docs",
        "examples",
        "fuzz",
        "target",
        "tests",
    ];
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !name.ends_with(".md") {
            let decided = named.contains(name.as_str()) != unneeded.contains(&name.as_str());
            assert!(decided, "whether the image's build needs {name} is for .dockerignore or for this test to say");
        }
    }
    let health = r#"["/usr/local/bin/crosspage", "health"]"#;
    assert!(text("Dockerfile").contains(&format!("CMD {health}\n")));
    let check = &yaml("deploy/compose.yaml")["services"]["crosspage"]["healthcheck"]["test"];
    assert_eq!(check, &json!(["CMD", "/usr/local/bin/crosspage", "health"]));
}

fn health(stage: &Stage, listen: &str) -> Ended {
    Process::spawn(stage.folder.path(), &[("LISTEN_ADDR", listen)], &["health"]).ended()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_check_tells_whether_webhooks_are_taken() {
    let stage = Stage::usual().await;
    let (process, address) = stage.start(&[("LISTEN_ADDR", &own_address())]);
    let well = health(&stage, &address.to_string());
    assert_eq!((well.code, well.output.trim()), (Some(0), r#"{"status":"ready"}"#));
    let everywhere = health(&stage, &format!("0.0.0.0:{}", address.port()));
    assert_eq!(everywhere.code, Some(0), "{}", everywhere.output);
    process.terminate();
    let gone = health(&stage, &address.to_string());
    assert_eq!(gone.code, Some(1));
    assert!(gone.output.contains(&format!("nothing answers on LISTEN_ADDR {address}")), "{}", gone.output);
    let wrong = Process::spawn(stage.folder.path(), &[("LISTEN_ADDR", "nowhere")], &["health"]).ended();
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.output.contains("LISTEN_ADDR"), "{}", wrong.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_check_tells_why_webhooks_are_not_taken() {
    let stage = Stage::usual().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answering = thread::spawn(move || {
        let (mut asked, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            asked.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        let body = r#"{"status":"not ready","reason":"the disk is low"}"#;
        write!(asked, "HTTP/1.1 503 Service Unavailable\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        String::from_utf8(request).unwrap()
    });
    let unwell = health(&stage, &address.to_string());
    assert_eq!(unwell.code, Some(1));
    assert!(unwell.output.contains("the disk is low"), "{}", unwell.output);
    assert!(answering.join().unwrap().starts_with("GET /readyz "));
}
