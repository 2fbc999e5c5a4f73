//! The host functions that this filter calls, typed in bytes: the SDK's own wrappers panic on values that are not UTF-8
//! and on statuses they do not list. Names and layouts are those of the proxy-wasm ABI 0.2.1.
//!
//! The only unsafe code of the module is here.

use std::ptr::{null, null_mut};
use std::time::Duration;

/// Status codes of the ABI that are told apart here; all others are failures.
const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const CAS_MISMATCH: u32 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Map {
    RequestHeaders = 0,
    ResponseHeaders = 2,
    CallResponseHeaders = 6,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buffer {
    RequestBody = 0,
    CallResponseBody = 4,
    PluginConfiguration = 7,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Info = 2,
    Warn = 3,
    Error = 4,
}

/// What a call gave: a value, nothing, or a failure of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;

#[cfg_attr(target_arch = "wasm32", link(wasm_import_module = "env"))]
unsafe extern "C" {
    fn proxy_log(level: u32, text: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_get_buffer_bytes(buffer: u32, start: usize, most: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, value: *const u8, value_size: usize, cas: u32) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout_milliseconds: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        question: *const u8,
        question_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
}

/// Gives the host `size` bytes of the module's memory to fill; they become a `Vec` of exactly this size in [`take`].
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    // Zeroed by the allocator, which is cheap beside the host's entry into the VM: no byte is ever read unset.
    Box::into_raw(vec![0_u8; size].into_boxed_slice()).cast()
}

/// Runs the C library's constructors, once, before anything else.
#[cfg(target_arch = "wasm32")]
#[unsafe(no_mangle)]
pub extern "C" fn _initialize() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: the linker makes this function, and the host calls us once.
    unsafe { __wasm_call_ctors() };
}

/// Takes over what the host put into memory that [`proxy_on_memory_allocate`] gave it: a boxed slice of exactly this size.
///
/// # Safety
/// `data` and `size` are as a host function returned them, and are taken over once.
unsafe fn take(data: *mut u8, size: usize) -> Vec<u8> {
    if data.is_null() {
        return Vec::new();
    }
    // SAFETY: by the contract above, this is the allocation of a boxed slice, whose capacity is its length.
    unsafe { Vec::from_raw_parts(data, size, size) }
}

/// Runs a call that returns bytes; `None` where there are none.
fn bytes(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Option<Vec<u8>>, Failed> {
    let (mut data, mut size) = (null_mut(), 0);
    match call(&raw mut data, &raw mut size) {
        // SAFETY: both were set by the host in this call.
        OK => Ok(Some(unsafe { take(data, size) })),
        NOT_FOUND => Ok(None),
        _ => Err(Failed),
    }
}

fn done(status: u32) -> Result<(), Failed> {
    if status == OK { Ok(()) } else { Err(Failed) }
}

pub fn log(level: LogLevel, text: &str) {
    // SAFETY: the host reads `size` bytes. A log line that can't be written has nobody to tell.
    let _ = unsafe { proxy_log(level as u32, text.as_ptr(), text.len()) };
}

/// Nanoseconds since the Unix epoch.
pub fn now() -> Option<u64> {
    let mut time = 0;
    // SAFETY: the host writes one u64.
    done(unsafe { proxy_get_current_time_nanoseconds(&raw mut time) })
        .ok()
        .map(|()| time)
}

pub fn set_tick_period(milliseconds: u32) -> Result<(), Failed> {
    // SAFETY: no memory is passed.
    done(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

/// All fields of a map in one call, serialised.
pub fn map(map: Map) -> Result<Vec<u8>, Failed> {
    // SAFETY: the host writes a pointer and a size.
    let found = bytes(|data, size| unsafe { proxy_get_header_map_pairs(map as u32, data, size) })?;
    found.ok_or(Failed)
}

/// The first field of this name.
pub fn map_value(map: Map, name: &str) -> Option<Vec<u8>> {
    // SAFETY: the host reads the name and writes a pointer and a size.
    bytes(|data, size| unsafe { proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size) }).ok()?
}

pub fn set_map_value(map: Map, name: &str, value: &[u8]) -> Result<(), Failed> {
    // SAFETY: the host reads name and value.
    done(unsafe { proxy_replace_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

pub fn remove_map_value(map: Map, name: &str) -> Result<(), Failed> {
    // SAFETY: the host reads the name.
    done(unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// At most `most` bytes of a buffer; `None` if there is no such buffer now.
pub fn buffer(buffer: Buffer, most: usize) -> Option<Vec<u8>> {
    // SAFETY: the host writes a pointer and a size.
    bytes(|data, size| unsafe { proxy_get_buffer_bytes(buffer as u32, 0, most, data, size) }).ok()?
}

/// A property by its path, whose parts are separated by zero bytes.
pub fn property(path: &str) -> Option<Vec<u8>> {
    // SAFETY: the host reads the path and writes a pointer and a size.
    bytes(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) }).ok()?
}

pub fn set_property(path: &str, value: &[u8]) -> Result<(), Failed> {
    // SAFETY: the host reads path and value.
    done(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
}

/// A shared value with its version; `None` for a key that was never written.
pub fn shared_data(key: &str) -> Result<Option<(Vec<u8>, u32)>, Failed> {
    let mut cas = 0;
    // SAFETY: the host reads the key and writes a pointer, a size and a version.
    let found =
        bytes(|data, size| unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas) })?;
    Ok(found.map(|value| (value, cas)))
}

/// Writes a shared value; `false` if its version is another than `cas`. A `cas` of 0 is not compared.
pub fn set_shared_data(key: &str, value: &[u8], cas: u32) -> Result<bool, Failed> {
    // SAFETY: the host reads key and value.
    match unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) } {
        OK => Ok(true),
        CAS_MISMATCH => Ok(false),
        _ => Err(Failed),
    }
}

/// Serialises fields as the ABI has maps: a count, each field's lengths, then names and values with a zero byte each.
fn serialized(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let length = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut out = length(fields.len()).to_vec();
    for (name, value) in fields {
        out.extend(length(name.len()));
        out.extend(length(value.len()));
    }
    for (name, value) in fields {
        out.extend(name.bytes());
        out.push(0);
        out.extend(*value);
        out.push(0);
    }
    out
}

/// Answers the request. `details` must be without white space.
pub fn send_local_response(
    status: u32,
    details: &str,
    headers: &[(&str, &[u8])],
    body: &[u8],
    grpc_status: i32,
) -> Result<(), Failed> {
    let headers = serialized(headers);
    let body_start = if body.is_empty() { null() } else { body.as_ptr() };
    // SAFETY: the host reads details, body and headers.
    done(unsafe {
        proxy_send_local_response(
            status,
            details.as_ptr(),
            details.len(),
            body_start,
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status,
        )
    })
}

/// Starts a call to a cluster, on behalf of the effective context, which gets the answer; its token. An unknown cluster,
/// or one that refuses at once, is a failure.
pub fn http_call(cluster: &str, fields: &[(&str, &[u8])], body: &[u8], timeout: Duration) -> Result<u32, Failed> {
    let (headers, trailers) = (serialized(fields), serialized(&[]));
    let body_start = if body.is_empty() { null() } else { body.as_ptr() };
    // Zero would be no limit at all.
    let milliseconds = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1);
    let mut token = 0;
    // SAFETY: the host reads cluster, headers, body and trailers, and writes one u32.
    done(unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body_start,
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            milliseconds,
            &raw mut token,
        )
    })
    .map(|()| token)
}

pub fn continue_request() -> Result<(), Failed> {
    const REQUEST: u32 = 0;
    // SAFETY: no memory is passed.
    done(unsafe { proxy_continue_stream(REQUEST) })
}

/// Chooses the context that further calls are about.
pub fn set_effective_context(context: u32) -> Result<(), Failed> {
    // SAFETY: no memory is passed.
    done(unsafe { proxy_set_effective_context(context) })
}

/// Calls a function that the host has beside the ABI; `None` if it has none of this name, or it failed.
pub fn call_foreign_function(name: &str, question: &[u8]) -> Option<Vec<u8>> {
    let call = |data, size| {
        // SAFETY: the host reads name and question and writes a pointer and a size.
        unsafe { proxy_call_foreign_function(name.as_ptr(), name.len(), question.as_ptr(), question.len(), data, size) }
    };
    bytes(call).ok()?
}

/// What a metric does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    Counter = 0,
    Gauge = 1,
}

/// Defines a metric, or finds the one of this name.
pub fn define_metric(kind: Metric, name: &str) -> Option<u32> {
    let mut id = 0;
    // SAFETY: the host reads the name and writes one u32.
    done(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) })
        .ok()
        .map(|()| id)
}

/// Sets a gauge.
pub fn record(id: u32, value: u64) {
    // SAFETY: no memory is passed. A gauge that can't be moved has nobody to tell.
    let _ = unsafe { proxy_record_metric(id, value) };
}

pub fn increment(id: u32) {
    // SAFETY: no memory is passed. A counter that can't be moved has nobody to tell.
    let _ = unsafe { proxy_increment_metric(id, 1) };
}

/// 16 bytes of the host's randomness.
#[cfg(target_arch = "wasm32")]
pub fn random() -> Option<[u8; 16]> {
    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        fn random_get(into: *mut u8, size: usize) -> u16;
    }
    let mut bytes = [0; 16];
    // SAFETY: WASI writes `size` bytes.
    (unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) } == 0).then_some(bytes)
}

/// The native build of this adapter is for checking only.
#[cfg(not(target_arch = "wasm32"))]
pub fn random() -> Option<[u8; 16]> {
    None
}
