//! The callbacks that Envoy makes, each handed to the plugin or the stream that it is about.
//!
//! This is what the SDK's dispatcher would do, without what no callback here needs: every look-up is paid for by every
//! request. Callbacks that decide nothing are not exported, and Envoy then does not enter the VM for them: there is no
//! `proxy_on_done` or `proxy_on_log`, since a stream ends with `proxy_on_delete`.

use crate::filter::Stream;
use crate::host::envoy::PlainMap;
use crate::plugin::Plugin;
use std::cell::RefCell;
use std::rc::Rc;

type Contexts<T> = PlainMap<u32, T>;

thread_local! {
    static PLUGINS: RefCell<Contexts<Rc<Plugin>>> = RefCell::default();
    static STREAMS: RefCell<Contexts<Rc<RefCell<Stream>>>> = RefCell::default();
}

fn plugin(context: u32) -> Option<Rc<Plugin>> {
    PLUGINS.with(|plugins| plugins.borrow().get(&context).cloned())
}

/// The stream of this context, if it is still there.
pub fn stream(context: u32) -> Option<Rc<RefCell<Stream>>> {
    STREAMS.with(|streams| streams.borrow().get(&context).cloned())
}

/// Makes the context of a plugin, for `root` 0, or of a stream.
pub fn create(context: u32, root: u32) {
    if root == 0 {
        let made = Rc::new(Plugin::new(context));
        PLUGINS.with(|plugins| plugins.borrow_mut().insert(context, made));
    } else if let Some(plugin) = plugin(root) {
        let made = Rc::new(RefCell::new(plugin.stream(context)));
        STREAMS.with(|streams| streams.borrow_mut().insert(context, made));
    }
}

/// Forgets a context.
pub fn delete(context: u32) {
    // The borrow ends before the stream does, whose end calls the host.
    let stream = STREAMS.with(|streams| streams.borrow_mut().remove(&context));
    if stream.is_none() {
        PLUGINS.with(|plugins| plugins.borrow_mut().remove(&context));
    }
}

/// What a callback says to go on or stop, as the ABI has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Continue = 0,
    Pause = 1,
}

/// Runs a stream's callback. Without the stream, or within another of its callbacks, nobody can judge the request: it
/// stays where it is.
fn on_stream(context: u32, callback: impl FnOnce(&mut Stream) -> Action) -> u32 {
    let stream = stream(context);
    let action = stream
        .as_ref()
        .and_then(|stream| Some(callback(&mut *stream.try_borrow_mut().ok()?)));
    action.unwrap_or(Action::Pause) as u32
}

#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn proxy_abi_version_0_2_1() {}

#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    create(context, root);
}

#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn proxy_on_delete(context: u32) {
    delete(context);
}

#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn proxy_on_vm_start(_context: u32, _size: u32) -> u32 {
    1
}

#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn proxy_on_configure(context: u32, size: usize) -> u32 {
    plugin(context).is_some_and(|plugin| plugin.on_configure(size)).into()
}

#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn proxy_on_tick(context: u32) {
    if let Some(plugin) = plugin(context) {
        plugin.on_tick();
    }
}

#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn proxy_on_http_call_response(
    context: u32,
    token: u32,
    headers: usize,
    body_size: usize,
    _trailers: usize,
) {
    if let Some(plugin) = plugin(context) {
        plugin.on_http_call_response(token, headers, body_size);
    }
}

#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn proxy_on_request_headers(context: u32, _count: usize, ends: u32) -> u32 {
    on_stream(context, |stream| stream.headers(ends != 0))
}

#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn proxy_on_request_body(context: u32, bytes: usize, ends: u32) -> u32 {
    on_stream(context, |stream| stream.body(bytes, ends != 0))
}

#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn proxy_on_request_trailers(context: u32, _count: usize) -> u32 {
    on_stream(context, Stream::trailers)
}

/// An answer always goes on.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn proxy_on_response_headers(context: u32, _count: usize, _ends: u32) -> u32 {
    on_stream(context, |stream| {
        stream.response();
        Action::Continue
    });
    Action::Continue as u32
}
