//! Signatures of published examples, and refused arguments and keys.

use super::*;
use iof_command::Grants;
use iof_egress::{KeyEncoding, SecretInjections, SecretValue};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

fn call(
    algorithm: SigningAlgorithm,
    encoding: KeyEncoding,
    uses: &[KeyUse],
    value: &str,
) -> CallContext {
    let value = SecretValue::new(value).unwrap();
    let key = SigningKey::new("KEY", algorithm, encoding, uses.to_vec(), value);
    let secrets = SecretInjections::with_signing(vec![], vec![key]).unwrap();
    CallContext {
        call: uuid::Uuid::nil(),
        function: "test".into(),
        function_id: 1,
        version: 1,
        grants: Arc::new(Grants::default()),
        secrets: Arc::new(secrets),
        depth: 0,
        deadline: Instant::now() + Duration::from_secs(60),
        trace: None,
    }
}

fn request(args: &[&str], stdin: &'static [u8]) -> Request {
    Request {
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: vec![],
        stdin: stdin.into(),
        timeout: Duration::from_secs(1),
    }
}

const BOTH: [KeyUse; 2] = [KeyUse::Sign, KeyUse::Verify];

async fn signed(call: &CallContext, args: &[&str], stdin: &'static [u8]) -> String {
    let output = Sign.run(call, request(args, stdin)).await;
    assert_eq!(output.status, status::OK, "{:?}", output.stderr);
    String::from_utf8(output.stdout.into()).unwrap()
}

async fn verified(call: &CallContext, args: &[&str], stdin: &'static [u8]) -> i32 {
    Verify.run(call, request(args, stdin)).await.status
}

/// RFC 2202, RFC 4231 (test case 2), and GitHub's own example of `X-Hub-Signature-256`.
#[tokio::test]
async fn hmacs_match_the_test_vectors_of_the_standards() {
    use SigningAlgorithm::{HmacSha1, HmacSha256, HmacSha512};
    for (algorithm, key, data, signature) in [
        (
            HmacSha1,
            "Jefe",
            &b"what do ya want for nothing?"[..],
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
        ),
        (
            HmacSha256,
            "Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            HmacSha512,
            "Jefe",
            b"what do ya want for nothing?",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
        (
            HmacSha256,
            "It's a Secret to Everybody",
            b"Hello, World!",
            "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        ),
    ] {
        let call = call(algorithm, KeyEncoding::Text, &BOTH, key);
        assert_eq!(signed(&call, &["KEY"], data).await, signature);
        assert_eq!(verified(&call, &["KEY", signature], data).await, status::OK);
        let base64 = signed(&call, &["--base64", "KEY"], data).await;
        let args = ["--base64", "KEY", &base64];
        assert_eq!(verified(&call, &args, data).await, status::OK);
        for wrong in [
            signature.replacen(
                &signature[..1],
                if signature.starts_with('0') { "1" } else { "0" },
                1,
            ),
            signature[..signature.len() - 2].to_owned(),
            format!("{signature}00"),
            String::new(),
            "not hexadecimal".to_owned(),
            "\u{e9}".to_owned(),
        ] {
            let verified = verified(&call, &["KEY", &wrong], data).await;
            assert_eq!(verified, status::DIFFERENT, "{wrong}");
        }
        assert_eq!(
            verified(&call, &["KEY", signature], b"other").await,
            status::DIFFERENT
        );
    }
}

#[tokio::test]
async fn a_key_may_be_written_in_hex_or_base64() {
    let plain = call(
        SigningAlgorithm::HmacSha256,
        KeyEncoding::Text,
        &BOTH,
        "Jefe",
    );
    let hex = call(
        SigningAlgorithm::HmacSha256,
        KeyEncoding::Hex,
        &BOTH,
        "4a656665",
    );
    let base64 = call(
        SigningAlgorithm::HmacSha256,
        KeyEncoding::Base64,
        &BOTH,
        "SmVmZQ==",
    );
    let expected = signed(&plain, &["KEY"], b"x").await;
    assert_eq!(signed(&hex, &["KEY"], b"x").await, expected);
    assert_eq!(signed(&base64, &["KEY"], b"x").await, expected);
    for (encoding, value) in [
        (KeyEncoding::Hex, "4a656"),
        (KeyEncoding::Hex, "s3cret"),
        (KeyEncoding::Base64, "s3cre"),
    ] {
        let call = call(SigningAlgorithm::HmacSha256, encoding, &BOTH, value);
        let output = Sign.run(&call, request(&["KEY"], b"x")).await;
        assert_eq!(output.status, status::KEY);
        assert!(!String::from_utf8_lossy(&output.stderr).contains(value));
    }
}

/// RFC 8032, section 7.1, test 2: a signature that is the same each time.
const ED25519_KEY: &str = "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7";
const ED25519_PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
const ED25519_SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

#[tokio::test]
async fn ed25519_matches_the_test_vector_of_its_standard() {
    for key in [
        ED25519_KEY.to_owned(),
        format!("-----BEGIN PRIVATE KEY-----\\n{ED25519_KEY}\\n-----END PRIVATE KEY-----\\n"),
    ] {
        let call = call(SigningAlgorithm::Ed25519, KeyEncoding::Text, &BOTH, &key);
        assert_eq!(signed(&call, &["KEY"], b"\x72").await, ED25519_SIGNATURE);
        assert_eq!(
            verified(&call, &["KEY", ED25519_SIGNATURE], b"\x72").await,
            status::OK
        );
        assert_eq!(
            verified(&call, &["KEY", ED25519_SIGNATURE], b"\x73").await,
            status::DIFFERENT
        );
    }
    // The public key of another party, as Discord publishes it.
    let public = call(
        SigningAlgorithm::Ed25519,
        KeyEncoding::Text,
        &[KeyUse::Verify],
        ED25519_PUBLIC,
    );
    assert_eq!(
        verified(&public, &["KEY", ED25519_SIGNATURE], b"\x72").await,
        status::OK
    );
    assert_eq!(
        verified(&public, &["KEY", "00"], b"\x72").await,
        status::DIFFERENT
    );
}

#[tokio::test]
async fn other_keys_sign_what_they_verify() {
    let random = ring::rand::SystemRandom::new();
    let generated = ring::signature::EcdsaKeyPair::generate_pkcs8(
        &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        &random,
    );
    let es256 = STANDARD.encode(generated.unwrap());
    let call = call(SigningAlgorithm::Es256, KeyEncoding::Text, &BOTH, &es256);
    let signature = signed(&call, &["--base64url", "KEY"], b"a.b").await;
    assert_eq!(signature.len(), 86, "two numbers of 32 bytes");
    let args = ["--base64url", "KEY", &signature];
    assert_eq!(verified(&call, &args, b"a.b").await, status::OK);
    assert_eq!(verified(&call, &args, b"a.c").await, status::DIFFERENT);
}

/// A key that OpenSSL made for this test, and its signature by OpenSSL.
const RSA_KEY: &str = include_str!("rsa-test-key.b64");
const RSA_SIGNATURE: &str = "EG4A//hUNxBBQlz+wbnopLZCvGkjWhz0Z8qEdeYKdP56SeftUABSzsqHrdE0BSNNRnYFpa4yowvgowxC5nOGm5ge7nQ6RBwPAwKlZy8DPGJ0wwdwpVGfuP7VMkq2aZ1R0cacsDdiA1o6M0yKEyQNRrk1CEIDgTy5kl801nRP3BueexGxLsZqtEEl/5Lo4eTDEYCrUazUAmhSQiTeXJpL/w/SklEwKlFkbUYpPin64B1R7XzlS9iEmfT4Cp61UJabebO0sJreLbFOshyysQClmDC/x1Yr7ggbh8BEUZTRqoLv/Vi4aXa4nCs/JqlIpJSRGum/EYwN2lyZB/2MTdhSaw==";

#[tokio::test]
async fn rsa_signs_as_openssl_does() {
    let key = RSA_KEY.trim();
    let call = call(SigningAlgorithm::Rs256, KeyEncoding::Text, &BOTH, key);
    let signature = signed(&call, &["--base64", "KEY"], b"a.b").await;
    assert_eq!(signature, RSA_SIGNATURE);
    let args = ["--base64", "KEY", RSA_SIGNATURE];
    assert_eq!(verified(&call, &args, b"a.b").await, status::OK);
    assert_eq!(verified(&call, &args, b"a.c").await, status::DIFFERENT);
}

/// Signatures that take long are computed on other threads than those of connections, with the same result.
#[tokio::test]
async fn large_data_is_signed_in_the_same_way() {
    const DATA: &[u8] = &[7; 1 << 20];
    let call = call(SigningAlgorithm::HmacSha256, KeyEncoding::Text, &BOTH, "k");
    let signature = signed(&call, &["KEY"], DATA).await;
    assert_eq!(
        verified(&call, &["KEY", &signature], DATA).await,
        status::OK
    );
    let other = verified(&call, &["KEY", &signature], &DATA[1..]).await;
    assert_eq!(other, status::DIFFERENT);
}

#[tokio::test]
async fn an_undeclared_key_or_use_is_denied() {
    let key = |uses: &[KeyUse]| {
        call(
            SigningAlgorithm::HmacSha256,
            KeyEncoding::Text,
            uses,
            "s3cret",
        )
    };
    let only_verifies = key(&[KeyUse::Verify]);
    let only_signs = key(&[KeyUse::Sign]);
    for (output, word) in [
        (
            Sign.run(&only_verifies, request(&["KEY"], b"")).await,
            "\"sign\"",
        ),
        (
            Verify.run(&only_signs, request(&["KEY", "00"], b"")).await,
            "\"verify\"",
        ),
        (
            Sign.run(&only_signs, request(&["OTHER"], b"")).await,
            "OTHER",
        ),
    ] {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status, output.stdout.len()), (status::DENIED, 0));
        assert!(
            stderr.contains(word) && !stderr.contains("s3cret"),
            "{stderr}"
        );
    }
    for args in [&[][..], &["KEY", "00", "11"], &["--raw", "KEY"]] {
        assert_eq!(
            Sign.run(&only_signs, request(args, b"")).await.status,
            status::USAGE
        );
    }
    for args in [&[][..], &["KEY"], &["--hex", "KEY"]] {
        assert_eq!(verified(&only_verifies, args, b"").await, status::USAGE);
    }
    for algorithm in [
        SigningAlgorithm::Ed25519,
        SigningAlgorithm::Es256,
        SigningAlgorithm::Rs256,
    ] {
        let call = call(algorithm, KeyEncoding::Text, &BOTH, "s3cret");
        for output in [
            Sign.run(&call, request(&["KEY"], b"")).await,
            Verify.run(&call, request(&["KEY", "00"], b"")).await,
        ] {
            assert_eq!(output.status, status::KEY);
            assert!(!String::from_utf8_lossy(&output.stderr).contains("s3cret"));
        }
    }
}

/// Public keys of other parties: made by OpenSSL for this test, with a signature in each format of P-256.
#[tokio::test]
async fn public_keys_of_others_verify_and_do_not_sign() {
    use ring::signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _,
    };
    let random = ring::rand::SystemRandom::new();
    let of = |algorithm, public: &[u8]| {
        let key = SigningKey::public("KEY", algorithm, public.to_vec());
        let secrets = SecretInjections::with_signing(vec![], vec![key]).unwrap();
        CallContext {
            secrets: Arc::new(secrets),
            ..call(SigningAlgorithm::HmacSha256, KeyEncoding::Text, &BOTH, "x")
        }
    };
    let data = b"what they sent";
    let mut cases = vec![];
    let document = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    let context = of(SigningAlgorithm::Ed25519, pair.public_key().as_ref());
    cases.push((context, pair.sign(data).as_ref().to_vec()));
    for kind in [
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        &ECDSA_P256_SHA256_ASN1_SIGNING,
    ] {
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap();
        let context = of(SigningAlgorithm::Es256, pair.public_key().as_ref());
        let signature = pair.sign(&random, data).unwrap();
        cases.push((context, signature.as_ref().to_vec()));
    }
    for (context, signature) in cases {
        let text = hex::encode(signature);
        assert_eq!(verified(&context, &["KEY", &text], data).await, status::OK);
        assert_eq!(
            verified(&context, &["KEY", &text], b"something else").await,
            status::DIFFERENT
        );
        for broken in ["", "00", &text[2..], &format!("{text}00")] {
            let answer = verified(&context, &["KEY", broken], data).await;
            assert_eq!(answer, status::DIFFERENT, "{broken}");
        }
        let refused = Sign.run(&context, request(&["KEY"], data)).await;
        assert_eq!(refused.status, status::DENIED);
    }
}
