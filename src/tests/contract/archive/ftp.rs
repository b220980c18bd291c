//! What only a server on the network can do: refuse, vanish, be somebody else.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{io::AsyncReadExt, net::TcpListener};
use userdata::{
    archive::{
        Archive,
        ftp::{Ftp, Patience},
    },
    config::{self, FtpTls},
    error::{Error, Kind, Service},
};

use super::{Content, assert_holds, bytes, exercise, fresh, meter, proxy, read, store};
use crate::service;

const PURE_FTPD: &str = "USERDATA_TEST_FTP";
const VSFTPD: &str = "USERDATA_TEST_VSFTPD";
const PROFTPD: &str = "USERDATA_TEST_PROFTPD";

fn config(variable: &str, tls: FtpTls) -> config::Ftp {
    let address = service(variable);
    let (host, port) = address.rsplit_once(':').unwrap();
    config::Ftp {
        host: host.into(),
        port: port.parse().unwrap(),
        user: "userdata".into(),
        password: "test-password".to_owned().into(),
        path: "contract/archive".into(),
        tls,
        tls_ca_file: (tls == FtpTls::Explicit).then(|| PathBuf::from(service("USERDATA_TEST_FTP_CA"))),
        tls_pin_sha256: None,
        layout: userdata::config::FtpLayout::Single,
    }
}

fn ftp(config: config::Ftp) -> Ftp {
    Ftp::new(config).unwrap()
}

async fn exercise_server(variable: &str, tls: FtpTls) {
    exercise(Arc::new(ftp(config(variable, tls)))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pure_ftpd_keeps_the_contract() {
    exercise_server(PURE_FTPD, FtpTls::Off).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pure_ftpd_keeps_the_contract_encrypted() {
    exercise_server(PURE_FTPD, FtpTls::Explicit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vsftpd_keeps_the_contract() {
    exercise_server(VSFTPD, FtpTls::Off).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vsftpd_keeps_the_contract_encrypted() {
    exercise_server(VSFTPD, FtpTls::Explicit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proftpd_keeps_the_contract() {
    exercise_server(PROFTPD, FtpTls::Off).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proftpd_keeps_the_contract_encrypted() {
    exercise_server(PROFTPD, FtpTls::Explicit).await;
}

/// The error of an archive that waits for an operator: transient, and it names the server.
fn assert_waits(error: &Error, ftp: &Ftp, words: &str) {
    assert_eq!((error.kind, error.service), (Kind::Transient, Some(Service::Archive)), "{error}");
    let told = error.to_string();
    assert!(told.contains(&ftp.name()) && told.contains(words), "{words:?} is not in: {told}");
    assert!(!told.contains("test-password"));
}

#[tokio::test]
async fn a_refused_login_waits_for_the_operator_with_the_servers_words() {
    for variable in [PURE_FTPD, VSFTPD, PROFTPD] {
        let mut config = config(variable, FtpTls::Off);
        config.password = "wrong".to_owned().into();
        let ftp = ftp(config);
        let error = ftp.check().await.unwrap_err();
        assert_waits(&error, &ftp, "530 ");
        assert!(error.next.unwrap().contains("password"));
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_named() {
    let mut config = config(PURE_FTPD, FtpTls::Off);
    config.port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let ftp = ftp(config);
    assert_waits(&ftp.size("x.csv").await.unwrap_err(), &ftp, "refused");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config(PURE_FTPD, FtpTls::Off);
    config.port = silent.local_addr().unwrap().port();
    let limit = Duration::from_millis(200);
    let patience = Patience { command: limit, stall: limit, completion: limit };
    let ftp = Ftp::with_patience(config, patience).unwrap();
    assert_waits(&ftp.check().await.unwrap_err(), &ftp, "no answer within 0.2 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_in_the_middle_is_tried_again_and_goes_on() {
    for variable in [PURE_FTPD, VSFTPD, PROFTPD] {
        for cut_control in [true, false] {
            let rules = proxy::Rules { data_bytes: Some(3_000_000), cut_control, ..proxy::Rules::default() };
            let mut through = config(variable, FtpTls::Off);
            through.host = "127.0.0.2".into();
            through.port = proxy::start(&service(variable), rules).await;
            let (cut, whole) = (ftp(through), ftp(config(variable, FtpTls::Off)));
            let (names, content) = (fresh("users.csv"), Content::new(bytes(20_000_000)));

            let meter = meter(20_000_000);
            let error = cut.store(&names.0, &names.1, &content, &meter).await.unwrap_err();
            assert_waits(&error, &cut, &names.1);
            assert_eq!(whole.size(&names.1).await.unwrap(), None);

            let rest = content.mended();
            assert_eq!(store(&whole, &names, &rest).await.unwrap(), 20_000_000);
            assert!(rest.opened()[0] > 0, "{variable} {:?}", rest.opened());
            assert_holds(&whole, &names.1, content.bytes()).await;

            let mut found = Vec::new();
            let read = cut.open(&names.1, 0).await.unwrap().read_to_end(&mut found).await;
            let error = read.expect_err("half a file was taken for the whole");
            assert!(error.to_string().contains(&cut.name()), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_the_new_commands_is_used_with_the_old_ones() {
    for (refuse, resumes) in [
        (&[("EPSV", "500 EPSV not understood")][..], true),
        (&[("EPSV", "502 No"), ("REST", "502 REST not implemented")], true),
        (&[("REST", "502 REST not implemented"), ("APPE", "550 No appending")], false),
    ] {
        let rules = proxy::Rules { refuse, ..proxy::Rules::default() };
        let mut through = config(PROFTPD, FtpTls::Off);
        through.host = "127.0.0.2".into();
        through.port = proxy::start(&service(PROFTPD), rules).await;
        let ftp = ftp(through);
        ftp.check().await.unwrap();
        let (names, content) = (fresh("users.csv"), Content::new(bytes(1_000_000)));
        ftp.store_beside("half.part", &names.0, &userdata::source::MemorySource(bytes(400_000))).await.unwrap();
        assert_eq!(store(&ftp, &names, &content).await.unwrap(), 1_000_000);
        assert_eq!(content.opened(), [if resumes { 400_000 } else { 0 }]);
        assert_holds(&ftp, &names.1, content.bytes()).await;
        assert!(read(&ftp, &names.1, 999_000).await == content.bytes()[999_000..]);
    }
}

#[tokio::test]
async fn a_name_that_the_server_does_not_allow_is_the_senders_matter() {
    for variable in [PURE_FTPD, VSFTPD] {
        let ftp = ftp(config(variable, FtpTls::Off));
        let (_, name) = fresh("users.csv");
        let temp = name.replace("users.csv", &"a".repeat(300));
        let error = ftp.store(&temp, &name, &Content::new(bytes(10)), &meter(10)).await.unwrap_err();
        assert_eq!((error.kind, error.code), (Kind::Rejected, "archive_name_refused"), "{error}");
        assert!(error.to_string().contains("553"), "{error}");
        assert_eq!(ftp.size(&temp).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_folder_that_may_not_be_written_waits_for_the_operator() {
    use std::os::unix::fs::PermissionsExt;

    // proftpd's login is root's, whom no permission stops.
    let (variable, root) = (PURE_FTPD, PathBuf::from(service("USERDATA_TEST_FTP_ROOT")));
    let closed = format!("closed-{}", uuid::Uuid::new_v4());
    std::fs::create_dir(root.join(&closed)).unwrap();
    std::fs::set_permissions(root.join(&closed), std::fs::Permissions::from_mode(0o555)).unwrap();
    let mut config = config(variable, FtpTls::Off);
    config.path = closed;
    let ftp = ftp(config);
    let (temp, name) = fresh("users.csv");
    for (temp, name) in [(temp.as_str(), name.as_str()), ("x.part", "x.csv")] {
        let error = ftp.store(temp, name, &Content::new(bytes(10)), &meter(10)).await.unwrap_err();
        assert_waits(&error, &ftp, "ermission denied");
        assert!(error.next.unwrap().contains("write"));
    }
}

#[tokio::test]
async fn a_certificate_is_trusted_by_its_authority_or_by_its_hash_and_not_otherwise() {
    for variable in [PURE_FTPD, VSFTPD, PROFTPD] {
        let mut config = config(variable, FtpTls::Explicit);
        ftp(config.clone()).check().await.unwrap();

        config.tls_ca_file = None;
        let stranger = ftp(config.clone());
        let error = stranger.check().await.unwrap_err();
        assert_waits(&error, &stranger, "not trusted");
        let next = error.next.unwrap();
        let (_, pin) = next.split_once("tls_pin_sha256 = \"").expect("the hint has the hash");

        config.tls_pin_sha256 = Some(pin[..64].to_owned());
        ftp(config.clone()).check().await.unwrap();

        config.tls_pin_sha256 = Some("0".repeat(64));
        let impostor = ftp(config);
        assert_waits(&impostor.check().await.unwrap_err(), &impostor, "tls_pin_sha256");
    }
}

#[tokio::test]
async fn what_is_to_be_trusted_must_be_readable_at_the_start() {
    let mut config = config(PURE_FTPD, FtpTls::Explicit);
    config.tls_ca_file = Some("/nowhere/ca.pem".into());
    let Err(error) = Ftp::new(config).map(drop) else { panic!("no authority is trusted, and nobody knows") };
    assert_eq!(error.kind, Kind::Fatal);
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
}
