//! HTTP clients: TLS or plain, HTTP/1.1 or HTTP/2, each from a source address of its own.
//!
//! A client here is what the gateway counts as one: a source address. All of 127.0.0.0/8 is local on Linux, so a test
//! can be as many clients as it likes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper::{HeaderMap, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, SupportedProtocolVersion};

use crate::Outcome;
use crate::message::{Body, Reply, Request, body_of, reply_of};

/// How long anything on a connection may take: far above what a healthy stack needs, far below the test budget.
pub const REPLY_SECONDS_MAX: u64 = 30;

static ONLY_TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// The certificate authorities that a client trusts: one run's own.
#[derive(Clone)]
pub struct Trust(Arc<RootCertStore>);

impl Trust {
    /// Trusts the certificates in a PEM text and nothing else.
    pub fn from_pem(pem: &[u8]) -> Outcome<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| format!("can't read the run's ca.pem: {error}"))?;
            roots
                .add(certificate)
                .map_err(|error| format!("can't use the run's ca.pem: {error}"))?;
        }
        Ok(Self(Arc::new(roots)))
    }

    fn connector(&self, version: Version, tls: &[&'static SupportedProtocolVersion]) -> TlsConnector {
        let roots = Arc::clone(&self.0);
        let mut config = ClientConfig::builder_with_protocol_versions(tls)
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = match version {
            Version::Http1 => vec![b"http/1.1".to_vec()],
            Version::Http2 => vec![b"h2".to_vec()],
        };
        TlsConnector::from(Arc::new(config))
    }
}

/// Somebody who sends requests: where to, from which address, over what.
#[derive(Clone)]
pub struct Client {
    target: SocketAddr,
    source: Ipv4Addr,
    version: Version,
    tls: &'static [&'static SupportedProtocolVersion],
    trust: Option<Trust>,
    announced: Option<IpAddr>,
    pipe: Option<PathBuf>,
}

impl Client {
    /// A client of an HTTPS address, speaking HTTP/1.1.
    pub fn https(target: SocketAddr, source: Ipv4Addr, trust: Trust) -> Self {
        Self {
            target,
            source,
            version: Version::Http1,
            tls: rustls::ALL_VERSIONS,
            trust: Some(trust),
            announced: None,
            pipe: None,
        }
    }

    /// A client of a plain HTTP address.
    pub fn http(target: SocketAddr, source: Ipv4Addr) -> Self {
        Self {
            target,
            source,
            version: Version::Http1,
            tls: rustls::ALL_VERSIONS,
            trust: None,
            announced: None,
            pipe: None,
        }
    }

    /// The same client over another protocol.
    pub fn over(&self, version: Version) -> Self {
        Self {
            version,
            ..self.clone()
        }
    }

    /// The same client without TLS 1.3.
    pub fn at_most_tls12(&self) -> Self {
        Self {
            tls: ONLY_TLS12,
            ..self.clone()
        }
    }

    /// The same client through a proxy that says by the PROXY protocol whom it speaks for.
    pub fn announced_as(&self, address: IpAddr) -> Self {
        Self {
            announced: Some(address),
            ..self.clone()
        }
    }

    /// The same client by way of a Unix socket.
    pub fn through(&self, pipe: PathBuf) -> Self {
        Self {
            pipe: Some(pipe),
            ..self.clone()
        }
    }

    /// The address that it comes from.
    pub fn source(&self) -> Ipv4Addr {
        self.source
    }

    /// The `host:port` that its requests name.
    pub fn authority(&self) -> String {
        format!("localhost:{}", self.target.port())
    }

    /// One request on a connection of its own.
    pub async fn send(&self, request: &Request) -> Outcome<Reply> {
        self.connect().await?.send(request).await
    }

    /// A new connection.
    pub async fn connect(&self) -> Outcome<Connection> {
        if let (Some(pipe), Some(trust)) = (&self.pipe, &self.trust) {
            let stream = within("a connection to the pipe", UnixStream::connect(pipe)).await?;
            return self.converse(self.tls(stream, trust).await?, Vec::new()).await;
        }
        let tcp = self.tcp().await?;
        let Some(trust) = &self.trust else {
            return self.converse(tcp, Vec::new()).await;
        };
        let tls = self.tls(tcp, trust).await?;
        let chain = tls.get_ref().1.peer_certificates().unwrap_or_default();
        let certificate = chain.first().map(|leaf| leaf.to_vec()).unwrap_or_default();
        self.converse(tls, certificate).await
    }

    /// A TLS stream for hand-written bytes.
    pub async fn raw(&self) -> Outcome<TlsStream<TcpStream>> {
        let trust = self.trust.as_ref().ok_or("raw bytes need an HTTPS client")?;
        self.tls(self.tcp().await?, trust).await
    }

    /// A bare TCP connection to the same address, from the same source.
    pub async fn tcp(&self) -> Outcome<TcpStream> {
        let connecting = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from((self.source, 0)))?;
            let mut stream = socket.connect(self.target).await?;
            stream.set_nodelay(true)?;
            if let Some(address) = self.announced {
                stream.write_all(proxy_line(address).as_bytes()).await?;
            }
            Ok::<_, std::io::Error>(stream)
        };
        let what = format!("a connection from {} to {}", self.source, self.target);
        within(&what, connecting).await
    }

    async fn tls<S>(&self, stream: S, trust: &Trust) -> Outcome<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from("localhost").map_err(|error| error.to_string())?;
        within(
            "a TLS handshake",
            trust.connector(self.version, self.tls).connect(name, stream),
        )
        .await
    }

    async fn converse<S>(&self, stream: S, certificate: Vec<u8>) -> Outcome<Connection>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        let sender = match self.version {
            Version::Http1 => {
                let (sender, driver) = within("an HTTP/1.1 connection", http1::handshake(io)).await?;
                tokio::spawn(driver);
                Sender::Http1(sender)
            }
            Version::Http2 => {
                let handshake = http2::handshake(TokioExecutor::new(), io);
                let (sender, driver) = within("an HTTP/2 connection", handshake).await?;
                tokio::spawn(driver);
                Sender::Http2(sender)
            }
        };
        Ok(Connection {
            sender,
            authority: self.authority(),
            scheme: self.scheme(),
            certificate,
        })
    }

    fn scheme(&self) -> &'static str {
        if self.trust.is_some() { "https" } else { "http" }
    }
}

enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

/// A connection that stays open between requests.
pub struct Connection {
    sender: Sender,
    authority: String,
    scheme: &'static str,
    certificate: Vec<u8>,
}

impl Connection {
    /// The server's certificate, DER; empty on plain HTTP.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Sends a request and waits for the whole answer.
    pub async fn send(&mut self, request: &Request) -> Outcome<Reply> {
        let what = format!("the answer to {} {}", request.method, request.path);
        let exchange = async {
            let response = match &mut self.sender {
                Sender::Http1(sender) => {
                    sender.ready().await?;
                    let uri = request.path.parse::<Uri>().map_err(invalid)?;
                    sender.send_request(built(request, uri, Some(&self.authority))?).await?
                }
                Sender::Http2(sender) => {
                    sender.ready().await?;
                    let uri = format!("{}://{}{}", self.scheme, self.authority, request.path);
                    sender
                        .send_request(built(request, uri.parse().map_err(invalid)?, None)?)
                        .await?
                }
            };
            reply_of(response).await
        };
        within(&what, exchange).await
    }

    /// A second handle on the same HTTP/2 connection, for requests in parallel.
    pub fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender) => Some(Self {
                sender: Sender::Http2(sender.clone()),
                authority: self.authority.clone(),
                scheme: self.scheme,
                certificate: self.certificate.clone(),
            }),
        }
    }
}

/// Version 1 of the PROXY protocol; the ports and the second address say nothing here.
fn proxy_line(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => format!("PROXY TCP4 {v4} 127.0.0.1 40000 443\r\n"),
        IpAddr::V6(v6) => format!("PROXY TCP6 {v6} ::1 40000 443\r\n"),
    }
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> Fault {
    Box::new(error)
}

fn built(request: &Request, uri: Uri, host: Option<&str>) -> Result<hyper::Request<Body>, Fault> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let name = hyper::header::HeaderName::from_bytes(name.as_bytes())?;
        headers.append(name, hyper::header::HeaderValue::from_bytes(value)?);
    }
    if let Some(host) = host {
        headers.entry(hyper::header::HOST).or_insert(host.parse()?);
        if request.body.len() > 1 {
            // Without it, hyper leaves out a GET's body whose length it isn't told.
            headers.insert(hyper::header::TRANSFER_ENCODING, "chunked".parse()?);
        }
    }
    let mut built = hyper::Request::builder()
        .method(request.method.as_str())
        .uri(uri)
        .body(body_of(request))?;
    *built.headers_mut() = headers;
    Ok(built)
}

async fn within<T, E: ToString>(what: &str, future: impl Future<Output = Result<T, E>>) -> Outcome<T> {
    match tokio::time::timeout(Duration::from_secs(REPLY_SECONDS_MAX), future).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{what}: {}", error.to_string())),
        Err(_) => Err(format!("{what}: nothing within {REPLY_SECONDS_MAX} s")),
    }
}
