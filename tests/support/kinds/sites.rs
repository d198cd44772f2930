//! Servers made with nginx: sites, names, certificates and answers.

use rcgen::date_time_ymd;

use super::{Kind, OTHER, Props, Staged};
use crate::support::NAME;
use crate::support::nginx::{Nginx, refusal, site};
use crate::support::pki::{Ca, Leaf};

pub const KINDS: &[Kind] = &[
    ("strict-names", strict_names),
    ("one-site", |props| props.site("", "")),
    ("other-default", other_default),
    ("two-strict-sites", two_strict_sites),
    ("misdirected-421", misdirected),
    ("unknown-name-503", |props| {
        props.site("", "if ($host != www.example.test) { return 503; }")
    }),
    ("unknown-name-404", |props| {
        props.site("", "if ($host != www.example.test) { return 404; }")
    }),
    ("client-certificate-400", |props| {
        props.for_clients("ssl_verify_client on;")
    }),
    ("client-certificate-401", |props| {
        props.for_clients(
            "ssl_verify_client optional; if ($ssl_client_verify != SUCCESS) { return 401; }",
        )
    }),
    ("client-certificate-403", |props| {
        props.for_clients(
            "ssl_verify_client optional; if ($ssl_client_verify != SUCCESS) { return 403; }",
        )
    }),
    ("client-certificate-welcome", |props| {
        props.for_clients("ssl_verify_client optional;")
    }),
    ("proxy-header", |props| props.site("proxy_protocol", "")),
    ("tls-1.3-only", |props| {
        props.site("", "ssl_protocols TLSv1.3;")
    }),
    ("tls-1.2-only", |props| {
        props.site("", "ssl_protocols TLSv1.2;")
    }),
    ("tls-1.2-cbc-only", |props| {
        let cipher = "ssl_ciphers ECDHE-ECDSA-AES128-SHA;";
        props.site("", &format!("ssl_protocols TLSv1.2; {cipher}"))
    }),
    ("plain-http", plain_http),
    ("plain-redirect", plain_redirect),
    ("expired", |props| {
        props.leaf(&props.stage.ca.leaf_with(&[NAME], past), &[])
    }),
    ("not-yet-valid", |props| {
        props.leaf(&props.stage.ca.leaf_with(&[NAME], tomorrow), &[])
    }),
    ("expired-intermediate", expired_intermediate),
    ("self-signed", self_signed),
    ("missing-intermediate", missing_intermediate),
    ("with-intermediate", with_intermediate),
    ("another-name", |props| props.leaf(&props.other, &[])),
    ("wildcard", |props| {
        props.leaf(&props.stage.ca.leaf(&["*.example.test"], 30), &[])
    }),
    ("new-key-of-the-ca", |props| {
        props.leaf(&Ca::new().leaf(&[NAME], 30), &[])
    }),
    ("ends-soon", |props| {
        props.leaf(&props.stage.ca.leaf(&[NAME], 1), &[])
    }),
    ("start-page-404", |props| Staged {
        page: "/healthz",
        ..props.site("", "location = / { return 404; }")
    }),
    ("redirect-to-a-path", |props| Staged {
        page: "/home",
        moved: Some("/home"),
        ..props.site("", "location = / { return 301 /home; }")
    }),
    ("redirect-to-login", |props| Staged {
        page: "/login",
        moved: Some("/login"),
        ..props.site(
            "",
            "location = / { return 302 https://$host:$server_port/login; }",
        )
    }),
    ("redirect-to-another-host", |props| Staged {
        marker: "login.example.net",
        ..props.site(
            "",
            "location = / { return 301 https://login.example.net/; }",
        )
    }),
    ("redirect-to-itself", |props| {
        props.site(
            "",
            "if ($http_x_forwarded_proto != https) { return 301 https://$host$request_uri; }",
        )
    }),
    ("login-401", |props| Staged {
        headers: "Authorization: Basic YTpi\r\n",
        ..props.site("", "if ($http_authorization = '') { return 401; }")
    }),
    ("forbidden-403", |props| {
        props.site("", "location = / { return 403; }")
    }),
    ("only-get-405", |props| {
        props.site("", "if ($request_method != GET) { return 405; }")
    }),
    ("upgrade-426", |props| {
        props.site("", "location = / { return 426; }")
    }),
    ("too-many-429", |props| Staged {
        limits_requests: true,
        ..props.site("", "location = / { return 429; }")
    }),
    ("failing-500", |props| {
        props.site("", "location = / { return 500; }")
    }),
    ("maintenance-503", |props| {
        props.site("", "location = / { return 503; }")
    }),
    ("gateway-502", |props| {
        props.site("", "location = / { proxy_pass http://127.0.0.1:1; }")
    }),
    ("firewall-agent", |props| {
        props.site(
            "",
            "if ($http_user_agent ~* 'check|bot|scan') { return 403; }",
        )
    }),
    ("firewall-no-agent", |props| {
        props.site("", "if ($http_user_agent = '') { return 403; }")
    }),
];

/// Sets the dates of an expired certificate.
pub fn past(params: &mut rcgen::CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
}

/// Sets the start of the validity to tomorrow.
pub fn tomorrow(params: &mut rcgen::CertificateParams) {
    params.not_before = time::OffsetDateTime::now_utc() + time::Duration::days(1);
}

/// The page of the other site.
const OTHERS_PAGE: &str = "location = / { return 200 \"the other site\"; }";

impl Props {
    /// Starts nginx with these `server` blocks. nginx runs until the stage is dropped.
    fn nginx(&self, servers: impl FnOnce(&super::super::folder::Folder, u16) -> String) -> Staged {
        let nginx = Nginx::serve(servers);
        let staged = self.staged(nginx.port);
        self.stage.keep(nginx);
        staged
    }

    /// Starts a server with a single site, which it serves under every name. `listen` contains
    /// additional parameters of the `listen` directive, and `more` contains directives.
    pub fn site(&self, listen: &str, more: &str) -> Staged {
        self.nginx(|folder, port| site((folder, port), listen, NAME, (&self.stage.leaf, &[]), more))
    }

    /// Starts a server with a single site. The server sends this certificate and these issuers.
    pub fn leaf(&self, leaf: &Leaf, issuers: &[&Ca]) -> Staged {
        self.nginx(|folder, port| site((folder, port), "", NAME, (leaf, issuers), ""))
    }

    /// Starts a server with a single site. The server trusts the CA that signs the accepted client
    /// certificates.
    fn for_clients(&self, more: &str) -> Staged {
        self.nginx(|folder, port| {
            let clients = folder.file("clients", &self.clients.pem);
            let more = format!("ssl_client_certificate {clients}; {more}");
            site((folder, port), "", NAME, (&self.stage.leaf, &[]), &more)
        })
    }
}

fn strict_names(props: &Props) -> Staged {
    props.nginx(|folder, port| {
        refusal(port) + &site((folder, port), "", NAME, (&props.stage.leaf, &[]), "")
    })
}

fn other_default(props: &Props) -> Staged {
    props.nginx(|folder, port| {
        let other = (&props.other, &[][..]);
        site((folder, port), "default_server", OTHER, other, OTHERS_PAGE)
            + &site((folder, port), "", NAME, (&props.stage.leaf, &[]), "")
    })
}

fn two_strict_sites(props: &Props) -> Staged {
    props.nginx(|folder, port| {
        refusal(port)
            + &site((folder, port), "", OTHER, (&props.other, &[]), OTHERS_PAGE)
            + &site((folder, port), "", NAME, (&props.stage.leaf, &[]), "")
    })
}

/// Starts a server for two sites. It answers 421 if the Host header isn't the SNI name (RFC 9110,
/// section 15.5.20).
fn misdirected(props: &Props) -> Staged {
    const SAME: &str = "if ($host != $ssl_server_name) { return 421; }";
    props.nginx(|folder, port| {
        let others = format!("{SAME} {OTHERS_PAGE}");
        site((folder, port), "", NAME, (&props.stage.leaf, &[]), SAME)
            + &site((folder, port), "", OTHER, (&props.other, &[]), &others)
    })
}

fn plain_http(props: &Props) -> Staged {
    Staged {
        right_port: Some(props.stage.nginx().port),
        ..props.nginx(|_, port| {
            format!("server {{ listen 127.0.0.1:{port}; return 200 'all good'; }}")
        })
    }
}

fn plain_redirect(props: &Props) -> Staged {
    Staged {
        right_port: Some(props.stage.nginx().port),
        ..props.nginx(|_, port| {
            format!("server {{ listen 127.0.0.1:{port}; return 301 https://$host$request_uri; }}")
        })
    }
}

fn expired_intermediate(props: &Props) -> Staged {
    let old = props.stage.ca.intermediate_with("Middle", past);
    props.leaf(&old.leaf(&[NAME], 30), &[&old])
}

fn self_signed(props: &Props) -> Staged {
    let leaf = Leaf::self_signed(&[NAME], |_| {});
    Staged {
        ca_file: props.stage.folder.file("copied.pem", &leaf.crt_pem),
        ..props.leaf(&leaf, &[])
    }
}

fn missing_intermediate(props: &Props) -> Staged {
    let middle = props.stage.ca.intermediate("Middle");
    let complete = format!("{}{}", props.stage.ca.pem, middle.pem);
    Staged {
        complete_ca_file: Some(props.stage.folder.file("complete.pem", &complete)),
        is_at_fault: true,
        ..props.leaf(&middle.leaf(&[NAME], 30), &[])
    }
}

fn with_intermediate(props: &Props) -> Staged {
    let middle = props.stage.ca.intermediate("Middle");
    props.leaf(&middle.leaf(&[NAME], 30), &[&middle])
}
