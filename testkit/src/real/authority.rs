//! Certificates as cert-manager issues them, in folders as the kubelet fills them.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};

/// A root, and the authority of a cluster below it, which signs.
pub struct Authority {
    root: String,
    between: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one that no other knows.
    pub fn new() -> Result<Self> {
        let root = CertifiedIssuer::self_signed(authority("root"), KeyPair::generate()?)?;
        let issuer: &Issuer<'_, KeyPair> = &root;
        let between = CertifiedIssuer::signed_by(authority("cluster"), KeyPair::generate()?, issuer)?;
        Ok(Self { root: root.pem(), between })
    }

    /// Puts a certificate with some names into a folder, with the root of what it trusts. As the kubelet does with a Secret,
    /// all files are exchanged at once.
    pub fn issue(&self, folder: &Path, names: &[String], trusted: &Self) -> Result<()> {
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names = names.iter().map(|name| san(name)).collect::<Result<_>>()?;
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let issuer: &Issuer<'_, KeyPair> = &self.between;
        let certificate = parameters.signed_by(&key, issuer)?.pem() + &self.between.pem();
        fs::create_dir_all(folder)?;
        let version = format!("..{}", fs::read_dir(folder)?.count());
        fs::create_dir(folder.join(&version))?;
        for (name, content) in
            [("tls.crt", certificate), ("tls.key", key.serialize_pem()), ("ca.crt", trusted.root.clone())]
        {
            fs::write(folder.join(&version).join(name), content)?;
            if !folder.join(name).is_symlink() {
                symlink(format!("..data/{name}"), folder.join(name))?;
            }
        }
        symlink(&version, folder.join("..next"))?;
        Ok(fs::rename(folder.join("..next"), folder.join("..data"))?)
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

fn san(name: &str) -> Result<SanType> {
    Ok(match name.parse::<IpAddr>() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) if name.contains("://") => SanType::URI(name.try_into()?),
        Err(_) => SanType::DnsName(name.try_into()?),
    })
}
