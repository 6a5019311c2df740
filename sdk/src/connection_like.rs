//! The `redis` crate's trait for connections, for the handles of this crate.
//!
//! Macros, since a trait of this crate could not implement a foreign one for all its handles.

/// For a handle that has `command`, `pipeline` (with the place of the first answer and their number) and `database`.
macro_rules! connection_like {
    ($handle:ty $(where $parameter:ident: $($bounds:tt)+)?) => {
        impl $(<$parameter: $($bounds)+>)? redis::aio::ConnectionLike for $handle {
            fn req_packed_command<'a>(&'a mut self, command: &'a redis::Cmd) -> redis::RedisFuture<'a, redis::Value> {
                Box::pin(self.command(command))
            }

            fn req_packed_commands<'a>(
                &'a mut self,
                pipeline: &'a redis::Pipeline,
                offset: usize,
                count: usize,
            ) -> redis::RedisFuture<'a, Vec<redis::Value>> {
                Box::pin(self.pipeline(pipeline, offset, count))
            }

            fn get_db(&self) -> i64 {
                self.database()
            }
        }
    };
}

/// For a handle that has `run`, for any [`Request`](crate::request::Request), and an `owner`.
macro_rules! connection_like_by_run {
    ($handle:ty) => {
        impl $handle {
            async fn command(&mut self, command: &redis::Cmd) -> redis::RedisResult<redis::Value> {
                self.traced(&$crate::request::One(command)).await
            }

            async fn pipeline(
                &mut self,
                pipeline: &redis::Pipeline,
                offset: usize,
                count: usize,
            ) -> redis::RedisResult<Vec<redis::Value>> {
                self.traced(&$crate::request::Many { pipeline, offset, count }).await
            }

            fn database(&self) -> i64 {
                self.owner.0.config.database
            }

            async fn traced<R: $crate::request::Request>(&mut self, request: &R) -> redis::RedisResult<R::Answer> {
                let span = $crate::request::Request::span(request, &self.owner.0.config);
                if span.is_disabled() {
                    return self.run(request).await;
                }
                tracing::Instrument::instrument(self.run(request), span).await
            }
        }

        $crate::connection_like::connection_like!($handle);
    };
}

pub(crate) use {connection_like, connection_like_by_run};
