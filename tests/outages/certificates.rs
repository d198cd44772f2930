//! Outages caused by certificates of the server, of its issuers, or of the client.

use rcgen::ExtendedKeyUsagePurpose;

use crate::operator::{Outage, Said, diagnose};
use crate::support::NAME;
use crate::support::kinds::Props;
use crate::support::kinds::sites::{past, tomorrow};
use crate::support::nginx::{Nginx, site};
use crate::support::pki::{Ca, Leaf};
use crate::support::stage::Stage;

fn words(ca_file: &str) -> String {
    format!("ssl verify required ca-file {ca_file} sni str({NAME}) check-sni {NAME}")
}

fn serve(leaf: &Leaf, issuers: &[&Ca], more: &str) -> Nginx {
    Nginx::serve(|folder, port| site((folder, port), "", NAME, (leaf, issuers), more))
}

#[test]
fn an_expired_certificate() {
    let stage = Stage::new();
    let nginx = serve(&stage.ca.leaf_with(&[NAME], past), &[], "");
    let outage = Outage::checked(nginx.port, &words(&stage.ca_file));
    let said = diagnose(nginx.port, &["--ca-file", &stage.ca_file, NAME]);
    said.says("own certificate has expired. do Renew the certificate on the server")
        .assert_fault_of_server();
    nginx.change(|folder, port| site((folder, port), "", NAME, (&stage.leaf, &[]), ""));
    outage.assert_over_after_pasting(&said);
}

#[test]
#[ignore = "make outages"]
fn an_expired_intermediate() {
    let stage = Stage::new();
    let old = stage.ca.intermediate_with("Middle", past);
    let leaf = old.leaf(&[NAME], 30);
    let nginx = serve(&leaf, &[&old], "");
    Outage::checked(nginx.port, &words(&stage.ca_file));
    let said = diagnose(nginx.port, &["--ca-file", &stage.ca_file, NAME]);
    said.says("An intermediate certificate that the server sends has expired");
    said.assert_fault_of_server();
}

#[test]
#[ignore = "make outages"]
fn an_expired_root_in_the_ca_file() {
    let stage = Stage::with_ca(Ca::with("Old Root", past));
    let nginx = serve(&stage.leaf, &[], "");
    Outage::checked(nginx.port, &words(&stage.ca_file));
    let said = diagnose(nginx.port, &["--ca-file", &stage.ca_file, NAME]);
    said.says("The CA's own certificate has expired")
        .assert_fix_in_file();
}

#[test]
fn an_expired_old_root_whose_successor_is_not_in_the_ca_file() {
    let stage = Stage::with_ca(Ca::with("Old Root", past));
    // The server sends the certificate that the old root issued for the new root.
    let new = stage.ca.intermediate_with("New Root", past);
    let nginx = serve(&new.leaf(&[NAME], 30), &[&new], "");
    let outage = Outage::checked(nginx.port, &words(&stage.ca_file));
    let said = diagnose(nginx.port, &["--ca-file", &stage.ca_file, NAME]);
    said.says("Put the CA's current root (CN=New Root, self-signed) into that file")
        .assert_fix_in_file();
    let file = stage.folder.file("new", &new.again("New Root", |_| {}));
    outage.assert_fixed_by(&diagnose(nginx.port, &["--ca-file", &file, NAME]));
}

#[test]
fn a_certificate_with_only_an_ip_address() {
    let stage = Stage::new();
    let nginx = serve(&stage.ca.leaf(&["127.0.0.1"], 30), &[], "");
    let outage = Outage::checked(nginx.port, &words(&stage.ca_file));
    let said = diagnose(nginx.port, &["--ca-file", &stage.ca_file, NAME]);
    said.says("The certificate has only IP addresses (127.0.0.1)")
        .never_says("Correct --sni");
    outage.assert_fixed_by(&said);
}

#[test]
fn a_client_certificate_that_the_server_refuses() {
    let stage = Stage::new();
    let issuer = stage.ca.intermediate("Client CA");
    let client = issuer.leaf(&["client"], 30);
    let for_servers = stage.ca.leaf_with(&["client"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let file = |name: &str, text: String| stage.folder.file(name, &text);
    let port = stage.openssl(
        "leaf",
        &[
            "-Verify",
            "2",
            "-verify_return_error",
            "-CAfile",
            &stage.ca_file,
        ],
    );
    let ask = |crt: &str| diagnose(port, &["--ca-file", &stage.ca_file, "--crt", crt, NAME]);
    ask(&file("alone", client.both_pem()))
        .says("Append the certificate of CN=Client CA to that file");
    ask(&file("chain", client.both_pem() + &issuer.pem)).never_says("Append the certificate");
    ask(&file("servers", for_servers.both_pem()))
        .says("its extended key usage doesn't contain clientAuth")
        .never_says("Append the certificate");
}

#[test]
#[ignore = "make outages"]
fn a_certificate_that_is_not_yet_valid() {
    let stage = Stage::new();
    let leaf = stage.ca.leaf_with(&[NAME], tomorrow);
    let nginx = serve(&leaf, &[], "");
    Outage::checked(nginx.port, &words(&stage.ca_file));
    let said = diagnose(nginx.port, &["--ca-file", &stage.ca_file, NAME]);
    said.says("fix on this host, not at the server; or at the server")
        .says("The clock of this host is behind")
        .says("The certificate is not valid yet");
}

#[test]
fn an_incomplete_chain() {
    let stage = Stage::new();
    let middle = stage.ca.intermediate("Middle");
    let leaf = middle.leaf(&[NAME], 30);
    let nginx = serve(&leaf, &[], "");
    let outage = Outage::checked(nginx.port, &words(&stage.ca_file));
    let said = diagnose(nginx.port, &["--ca-file", &stage.ca_file, NAME]);
    said.says("with a value that only you know; or at the server")
        .says("Install the full chain");
    nginx.change(|folder, port| site((folder, port), "", NAME, (&leaf, &[&middle]), ""));
    outage.assert_over_after_pasting(&said);
}

#[test]
fn a_private_ca() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let outage = Outage::checked(port, &words("@system-ca"));
    let said = diagnose(port, &[NAME]);
    said.says("this CA is not in the bundled roots")
        .says("--ca-file FILE")
        .assert_asks_for_value();
    let said = diagnose(port, &["--ca-file", &stage.ca_file, NAME]);
    outage.assert_fixed_by(&said);
}

#[test]
#[ignore = "make outages"]
fn a_private_ca_with_an_intermediate() {
    let stage = Stage::new();
    let middle = stage.ca.intermediate("Middle");
    let nginx = serve(&middle.leaf(&[NAME], 30), &[&middle], "");
    let outage = Outage::checked(nginx.port, &words("@system-ca"));
    let said = diagnose(nginx.port, &[NAME]);
    said.says("this CA is not in the bundled roots")
        .assert_asks_for_value();
    outage.assert_fixed_by(&diagnose(nginx.port, &["--ca-file", &stage.ca_file, NAME]));
}

#[test]
#[ignore = "make outages"]
fn a_self_signed_certificate() {
    let stage = Stage::new();
    let leaf = Leaf::self_signed(&[NAME], |_| {});
    let nginx = serve(&leaf, &[], "");
    let outage = Outage::checked(nginx.port, &words(&stage.ca_file));
    let said = diagnose(nginx.port, &[NAME]);
    said.says("self-signed")
        .says("--ca-file FILE")
        .assert_asks_for_value();
    let file = stage.folder.file("copied.pem", &leaf.crt_pem);
    outage.assert_fixed_by(&diagnose(nginx.port, &["--ca-file", &file, NAME]));
}

#[test]
#[ignore = "make outages"]
fn a_revoked_certificate() {
    let stage = Stage::new();
    let crl = stage
        .folder
        .file("crl.pem", &stage.ca.crl(&[&stage.leaf], 30));
    let nginx = serve(&stage.leaf, &[], "");
    let words = words(&stage.ca_file) + " crl-file " + &crl;
    Outage::checked(nginx.port, &words);
    let call = ["--crl-file", &crl, "--ca-file", &stage.ca_file, NAME];
    diagnose(nginx.port, &call)
        .says("revoked")
        .assert_fault_of_server();
}

#[test]
fn an_expired_revocation_list() {
    let stage = Stage::new();
    let list = |days| stage.folder.file("crl.pem", &stage.ca.crl(&[], days));
    let crl = list(-1);
    let nginx = serve(&stage.leaf, &[], "");
    let outage = Outage::checked(nginx.port, &(words(&stage.ca_file) + " crl-file " + &crl));
    let call = ["--crl-file", &crl, "--ca-file", &stage.ca_file, NAME];
    let said = diagnose(nginx.port, &call);
    let yesterday = time::OffsetDateTime::now_utc() - time::Duration::days(1);
    said.says(&format!(
        "The revocation list of CN=Test CA expired on {} (1 day ago). do Get the CA's current list. Use it with --crl-file {crl}",
        yesterday.date()
    ))
    .assert_fix_in_file();
    list(30);
    outage.assert_over_after_pasting(&said);
}

#[test]
#[ignore = "make outages"]
fn an_issuer_without_a_revocation_list() {
    let stage = Stage::new();
    let middle = stage.ca.intermediate("Middle");
    let crl = stage.folder.file("crl.pem", &stage.ca.crl(&[], 30));
    let nginx = serve(&middle.leaf(&[NAME], 30), &[&middle], "");
    Outage::checked(nginx.port, &(words(&stage.ca_file) + " crl-file " + &crl));
    let call = ["--crl-file", &crl, "--ca-file", &stage.ca_file, NAME];
    diagnose(nginx.port, &call)
        .says("--crl-file has no revocation list of CN=Middle.")
        .assert_fix_in_file();
}

#[test]
fn a_ca_whose_new_key_is_not_trusted_yet() {
    let stage = Stage::new();
    for says_which_key in [true, false] {
        let leaf = Ca::new().leaf_with(&[NAME], |params| {
            params.use_authority_key_identifier_extension = says_which_key;
        });
        let nginx = serve(&leaf, &[], "");
        Outage::checked(nginx.port, &words(&stage.ca_file));
        diagnose(nginx.port, &["--ca-file", &stage.ca_file, NAME])
            .says(&format!(
                "The CA CN=Test CA in --ca-file {} doesn't have the key that signed the certificate",
                stage.ca_file
            ))
            .never_says("this CA is not in")
            .assert_fix_in_file();
    }
}

#[test]
#[ignore = "make outages"]
fn a_certificate_that_expires_too_soon() {
    let stage = Stage::new();
    let nginx = serve(&stage.ca.leaf(&[NAME], 5), &[], "");
    let options = format!(
        "--min-cert-days 10 --sni {NAME} --ca-file {}",
        stage.ca_file
    );
    let outage = Outage::by_external_check(nginx.port, &words(&stage.ca_file), &options);
    let call = ["--min-cert-days=10", "--ca-file", &stage.ca_file, NAME];
    let said = diagnose(nginx.port, &call);
    said.says("Renew the certificate on the server")
        .says("If it has already been renewed, reload the server")
        .says("HAProxy sends the server no visitors")
        .says("--warn-cert-days 10 in place of")
        .never_says("nothing in haproxy.cfg fixes this");
    outage.assert_fixed_by(&said);
}

/// Diagnoses the server on this port. The check sends the client certificate in the file `crt`.
fn ask_with(props: &Props, port: u16, crt: &str) -> Said {
    let call = ["--crt", crt, "--ca-file", &props.stage.ca_file, NAME];
    diagnose(port, &call)
}

#[test]
fn a_server_that_requires_a_client_certificate() {
    let props = Props::new();
    let port = props.start("client-certificate-400").port;
    let outage = Outage::checked(port, &words(&props.stage.ca_file));
    let said = diagnose(port, &["--ca-file", &props.stage.ca_file, NAME]);
    said.says("The server requires a client certificate")
        .says("--crt FILE")
        .assert_asks_for_value();
    outage.assert_fixed_by(&ask_with(&props, port, &props.crt));
}

#[test]
#[ignore = "make outages"]
fn a_client_certificate_that_the_server_does_not_trust() {
    let props = Props::new();
    let port = props.start("client-certificate-400").port;
    let crt = &props.wrong_crt;
    Outage::checked(port, &(words(&props.stage.ca_file) + " crt " + crt));
    let said = ask_with(&props, port, crt);
    said.says("refuses the client certificate")
        .assert_asks_for_value();
}

#[test]
fn an_expired_client_certificate() {
    let props = Props::new();
    let port = props.start("client-certificate-400").port;
    let client = |leaf: Leaf| props.stage.folder.file("client.pem", &leaf.both_pem());
    let crt = client(props.clients.leaf_with(&["client"], past));
    let outage = Outage::checked(port, &(words(&props.stage.ca_file) + " crt " + &crt));
    let said = ask_with(&props, port, &crt);
    said.says(&format!(
        "The client certificate in --crt {crt} expired on 2021-01-01 ("
    ))
    .assert_fix_in_file();
    client(props.clients.leaf(&["client"], 30));
    outage.assert_over_after_pasting(&said);
}

#[test]
#[ignore = "make outages"]
fn a_handshake_that_fails_without_a_client_certificate() {
    let stage = Stage::new();
    let verify = [
        "-Verify",
        "1",
        "-verify_return_error",
        "-CAfile",
        &stage.ca_file,
    ];
    let port = stage.openssl("leaf", &verify);
    let outage = Outage::checked(port, &words(&stage.ca_file));
    let said = diagnose(port, &["--ca-file", &stage.ca_file, NAME]);
    said.says("The server requires a client certificate")
        .assert_asks_for_value();
    let client = stage.ca.leaf_with(&["client"], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let crt = stage.folder.file("client.pem", &client.both_pem());
    outage.assert_fixed_by(&diagnose(
        port,
        &["--crt", &crt, "--ca-file", &stage.ca_file, NAME],
    ));
}
