//! The container image: the test runs the Dockerfile's own commands and the image, without a
//! registry.
//!
//! Two stand-ins replace the official images: the first has this machine's Rust, the second its
//! HAProxy. The Dockerfile adds the same files to every base image.

mod buildah;
mod parts;

use std::collections::BTreeSet;
use std::path::Path;

use crate::tools::{output, readme, root, run, tool, workspace};
use buildah::Buildah;
use parts::{Haproxy, Nginx};

#[test]
fn the_image_checks_and_serves_a_backend_that_requires_sni() {
    let work = workspace("image");
    let buildah = Buildah::new(&work);
    buildah.build_rust_stand_in();
    buildah.build_haproxy_stand_in();

    let rust = format!("RUST_IMAGE={}", buildah::RUST);
    let haproxy = format!("HAPROXY_IMAGE={}", buildah::HAPROXY);
    buildah.build("sni-check", &["--target", "binary", "--build-arg", &rust]);
    buildah.build("proxy", &["--build-arg", &rust, "--build-arg", &haproxy]);

    let alone = buildah.container("sni-check");
    let files = files_with_modes(&buildah.mount(&alone));
    assert_eq!(files.into_iter().collect::<Vec<_>>(), ["755 sni-check"]);
    let version = buildah.run(&alone, &[], &["/sni-check", "--version"]);
    assert!(version.starts_with("sni-check "), "{version}");

    let container = buildah.container("proxy");
    let added: Vec<String> = {
        let before = files_with_modes(&buildah.mount(&buildah.container(buildah::HAPROXY)));
        let after = files_with_modes(&buildah.mount(&container));
        after.difference(&before).cloned().collect()
    };
    assert_eq!(
        added,
        [
            "644 usr/local/etc/haproxy/haproxy.cfg",
            "755 usr/local/bin/sni-check"
        ]
    );
    assert_eq!(
        buildah.inspect("proxy", "{{.OCIv1.Config.User}}"),
        "haproxy"
    );
    for image in ["sni-check", "proxy"] {
        let labels = buildah.inspect(image, "{{.OCIv1.Config.Labels}}");
        for label in ["title", "description", "licenses"] {
            assert!(
                labels.contains(&format!("org.opencontainers.image.{label}:")),
                "{image}: {labels}"
            );
        }
    }

    // This follows the README's instructions for users who have their own image.
    let own =
        readme("dockerfile", "COPY --from=sni-check").replace("haproxy:3.2", buildah::HAPROXY);
    buildah.build_text("own", &own, &work.join("haproxy"));
    let own = buildah.container("own");
    let version = buildah.run(&own, &[], &["/usr/local/bin/sni-check", "--version"]);
    assert!(version.starts_with("sni-check "), "{version}");

    let nginx = Nginx::start(&work);
    let proxy = Haproxy::start(&buildah, &container, &nginx, "www.example.com");
    let (status, code) = proxy.checked();
    assert_eq!(
        (status.as_str(), code.as_str()),
        ("UP", "0"),
        "{}",
        proxy.log()
    );
    let answer = proxy.get("/");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("Hello from www.example.com\n"), "{answer}");
    drop(proxy);

    let proxy = Haproxy::start(&buildah, &container, &nginx, "wrong.example.com");
    let (status, code) = proxy.checked();
    assert_eq!(
        (status.as_str(), code.as_str()),
        ("DOWN", "65"),
        "{}",
        proxy.log()
    );
    assert!(proxy.get("/").starts_with("HTTP/1.1 503"));
}

/// Returns the files of an image with their modes.
fn files_with_modes(image: &Path) -> BTreeSet<String> {
    let files = run(tool("find")
        .arg(image)
        .args(["-not", "-type", "d", "-printf", "%m %P\\n"]));
    files.lines().map(str::to_owned).collect()
}

#[test]
fn hadolint_reports_nothing() {
    let lint = output(tool("hadolint").arg("docker/Dockerfile"));
    assert!(
        lint.status.success(),
        "{}",
        String::from_utf8_lossy(&lint.stdout)
    );
}

#[test]
fn the_compose_files_use_tested_configurations_and_known_variables() {
    let text = |name: &str| std::fs::read_to_string(root().join(name)).expect(name);
    for (file, configuration) in [
        ("docker/compose.yaml", "haproxy/hybrid.cfg"),
        ("docker/compose-serve.yaml", "haproxy/serve.cfg"),
    ] {
        run(tool("check-jsonschema")
            .args(["--builtin-schema", "vendor.compose-spec"])
            .arg(file));
        let compose = text(file);
        let mounted = compose
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- ."));
        for path in mounted.filter_map(|line| line.split(':').next()) {
            let path = root().join("docker").join(format!(".{path}"));
            assert!(path.exists(), "{file} mounts {}", path.display());
        }
        let configuration = text(configuration);
        let (_, environment) = compose
            .split_once("environment:\n")
            .expect("an environment");
        let variables: Vec<&str> = environment
            .lines()
            .take_while(|line| line.starts_with("      "))
            .filter_map(|line| line.trim().split(':').next())
            .collect();
        assert!(variables.contains(&"SNI_HOST"));
        for variable in variables {
            assert!(
                configuration.contains(&format!("${{{variable}}}")),
                "{variable}"
            );
        }
    }
}
