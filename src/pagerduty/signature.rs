//! Whether a webhook is PagerDuty's: the HMAC of its raw body.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The header that carries the signatures.
pub const SIGNATURE_HEADER: &str = "X-PagerDuty-Signature";

const VERSION: &str = "v1=";

/// Why a webhook is not taken for PagerDuty's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is not signed.
    #[error("the signature header is missing")]
    Missing,
    /// The header holds nothing that is a signature.
    #[error("the signature header holds no v1 signature")]
    Malformed,
    /// It is signed with another secret, or is not what was signed.
    #[error("no signature matches")]
    Mismatch,
}

/// Whether any of the header's signatures is that of the raw body under any of the secrets. While a secret is being
/// rotated both sides may have two. An empty secret verifies nothing, since everybody can sign with it.
pub fn verify(secrets: &[SecretString], header: Option<&str>, body: &[u8]) -> Result<(), SignatureError> {
    let header = header.map(str::trim).filter(|header| !header.is_empty()).ok_or(SignatureError::Missing)?;
    let signatures: Vec<[u8; 32]> =
        header.split(',').filter_map(|part| decode(part.trim().strip_prefix(VERSION)?.trim())).collect();
    if signatures.is_empty() {
        return Err(SignatureError::Malformed);
    }
    // Every pair is compared, so that the time tells nothing of which one matched.
    let mut matched = false;
    for secret in secrets.iter().map(|secret| secret.expose_secret().as_bytes()).filter(|secret| !secret.is_empty()) {
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret) else { continue };
        let mac = mac.chain_update(body);
        for signature in &signatures {
            matched |= mac.clone().verify_slice(signature).is_ok();
        }
    }
    if matched { Ok(()) } else { Err(SignatureError::Mismatch) }
}

fn decode(hex: &str) -> Option<[u8; 32]> {
    let digits = hex.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::mangle::few;

    #[derive(serde::Deserialize)]
    struct Vector {
        name: String,
        secret: String,
        body: String,
        header: String,
        valid: bool,
    }

    #[derive(serde::Deserialize)]
    struct Vectors {
        vectors: Vec<Vector>,
    }

    fn vectors() -> Vec<Vector> {
        let text = include_str!("../../tests/fixtures/pagerduty/signatures.json");
        serde_json::from_str::<Vectors>(text).unwrap().vectors
    }

    fn secrets(texts: &[&str]) -> Vec<SecretString> {
        texts.iter().map(|text| SecretString::from(*text)).collect()
    }

    #[test]
    fn the_published_vectors_hold() {
        let vectors = vectors();
        assert_eq!(vectors.len(), 10);
        for vector in vectors {
            let outcome = verify(&secrets(&[&vector.secret]), Some(&vector.header), vector.body.as_bytes());
            let expected = if vector.valid { Ok(()) } else { Err(SignatureError::Mismatch) };
            assert_eq!(outcome, expected, "{}", vector.name);
        }
    }

    #[test]
    fn any_signature_under_any_secret_is_enough() {
        let vector = &vectors()[0];
        let (secret, header, body) = (vector.secret.as_str(), vector.header.as_str(), vector.body.as_bytes());
        let other = format!("v1={}", "ab".repeat(32));
        let good = [
            header.to_owned(),
            format!("{other},{header}"),
            format!("  {other} ,   {header}  "),
            format!("v1=zz, v2=00, ,v1=, {header}"),
            header.to_uppercase().replace("V1=", "v1="),
        ];
        for header in good {
            for secrets in [secrets(&[secret]), secrets(&["other", secret]), secrets(&["", secret, "third"])] {
                assert_eq!(verify(&secrets, Some(&header), body), Ok(()), "{header}");
            }
        }
    }

    #[test]
    fn what_does_not_verify_says_why() {
        use SignatureError::{Malformed, Mismatch, Missing};
        let vector = &vectors()[0];
        let (secret, header) = (secrets(&[&vector.secret]), vector.header.as_str());
        let short = &header[..header.len() - 1];
        let table: [(&[SecretString], Option<&str>, &str, SignatureError); 11] = [
            (&secret, None, &vector.body, Missing),
            (&secret, Some(""), &vector.body, Missing),
            (&secret, Some("  "), &vector.body, Missing),
            (&secret, Some("v1="), &vector.body, Malformed),
            (&secret, Some("v1=xyz,,"), &vector.body, Malformed),
            (&secret, Some(short), &vector.body, Malformed),
            (&secret, Some(&header[3..]), &vector.body, Malformed),
            (&secret, Some("v1=\u{e9}\u{e9}"), &vector.body, Malformed),
            (&secret, Some(header), "{}", Mismatch),
            (&secrets(&["other"]), Some(header), &vector.body, Mismatch),
            (&[], Some(header), &vector.body, Mismatch),
        ];
        for (secrets, header, body, expected) in table {
            assert_eq!(verify(secrets, header, body.as_bytes()), Err(expected), "{header:?}");
        }
    }

    fn signed(secret: &str, body: &[u8]) -> [u8; 32] {
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body).finalize().into_bytes().into()
    }

    fn header(signature: &[u8]) -> String {
        let digits: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{VERSION}{digits}")
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn no_header_verifies_but_the_right_one(text in any::<String>(), secret in ".{1,70}", body in any::<Vec<u8>>()) {
            let secrets = secrets(&[&secret]);
            for header in [text.clone(), format!("v1={text}"), format!("{text},v1={}", "0".repeat(64))] {
                prop_assert!(verify(&secrets, Some(&header), &body).is_err());
            }
            prop_assert_eq!(verify(&secrets, Some(&header(&signed(&secret, &body))), &body), Ok(()));
        }

        #[test]
        fn a_single_bit_breaks_a_signature(secret in "[!-~]{1,70}", body in prop::collection::vec(any::<u8>(), 1..200), bit in 0_usize..256) {
            let keys = secrets(&[&secret]);
            let signature = signed(&secret, &body);
            let mut other = signature;
            other[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(verify(&keys, Some(&header(&other)), &body), Err(SignatureError::Mismatch));
            let mut changed = body.clone();
            changed[bit % body.len()] ^= 1 << (bit % 8);
            prop_assert_eq!(verify(&keys, Some(&header(&signature)), &changed), Err(SignatureError::Mismatch));
            let longer = secrets(&[&format!("{secret}x")]);
            prop_assert_eq!(verify(&longer, Some(&header(&signature)), &body), Err(SignatureError::Mismatch));
        }
    }
}
