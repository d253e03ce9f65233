//! Work off the main thread, as a promise. A panic becomes an error: unwinding out of `compute` would abort Node.

use crate::failure::{Failure, Outcome};
use napi::bindgen_prelude::*;
use napi::{ValueType, sys};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a task hands to JavaScript, and how much native memory V8 should know it holds.
pub trait Product: Send + 'static {
    type JsValue: ToNapiValue + TypeName;
    fn into_js(self, env: &Env) -> Result<Self::JsValue>;
}

/// One piece of work.
pub struct Work<T: Product> {
    run: Option<Box<dyn FnOnce() -> Outcome<T> + Send>>,
}

/// Runs `f` on libuv's threads.
pub fn spawn<T: Product>(f: impl FnOnce() -> Outcome<T> + Send + 'static) -> AsyncTask<Work<T>> {
    AsyncTask::new(Work { run: Some(Box::new(f)) })
}

/// What a call gives: a promise, or the result itself where the work was short, which `await` takes alike.
pub enum Answer<T: Product> {
    Later(AsyncTask<Work<T>>),
    Now(T),
}

/// Runs `f` at once where it is short: to hand work of some microseconds to another thread and back takes longer than the work.
pub fn answer<T: Product>(short: bool, f: impl FnOnce() -> Outcome<T> + Send + 'static) -> Result<Answer<T>> {
    if !short {
        return Ok(Answer::Later(spawn(f)));
    }
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(output) => Ok(Answer::Now(output?)),
        Err(payload) => Err(Failure::panic(payload).into()),
    }
}

impl<T: Product> TypeName for Answer<T> {
    fn type_name() -> &'static str {
        "Answer"
    }
    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl<T: Product> ToNapiValue for Answer<T> {
    unsafe fn to_napi_value(env: sys::napi_env, answer: Self) -> Result<sys::napi_value> {
        // SAFETY: the caller's environment.
        unsafe {
            match answer {
                Answer::Later(task) => ToNapiValue::to_napi_value(env, task),
                Answer::Now(output) => ToNapiValue::to_napi_value(env, output.into_js(&Env::from_raw(env))?),
            }
        }
    }
}

impl<T: Product> Task for Work<T> {
    type Output = T;
    type JsValue = T::JsValue;

    fn compute(&mut self) -> Result<T> {
        let Some(run) = self.run.take() else {
            return Err(Failure::new("INTERNAL", "a task ran twice").into());
        };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(failure)) => Err(failure.into()),
            Err(payload) => Err(Failure::panic(payload).into()),
        }
    }

    fn resolve(&mut self, env: Env, output: T) -> Result<T::JsValue> {
        output.into_js(&env)
    }
}

impl Product for () {
    type JsValue = ();
    fn into_js(self, _env: &Env) -> Result<()> {
        Ok(())
    }
}

impl Product for f64 {
    type JsValue = f64;
    fn into_js(self, _env: &Env) -> Result<f64> {
        Ok(self)
    }
}

impl Product for bool {
    type JsValue = bool;
    fn into_js(self, _env: &Env) -> Result<bool> {
        Ok(self)
    }
}

impl Product for String {
    type JsValue = String;
    fn into_js(self, _env: &Env) -> Result<String> {
        Ok(self)
    }
}
