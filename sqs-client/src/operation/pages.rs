//! Paged lists as one stream.

use std::collections::HashSet;

use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use crate::error::Error;
use crate::limits;
use crate::validate;

/// A page of a list, and the token of the next page.
pub(super) struct Page {
    pub(super) items: Vec<String>,
    pub(super) next_token: Option<String>,
}

pub(super) fn validate(max_results: Option<u16>) -> Result<(), Error> {
    validate::within("number of queues in a page", max_results, 1..=limits::MAX_PAGE_RESULTS)
}

/// Returns the items of all pages, starting with the page of `token`. The stream ends after an error. A repeated token
/// is an error, because the list would never end.
pub(super) fn items<F, Response>(
    operation: &'static str,
    token: Option<String>,
    mut fetch: F,
) -> BoxStream<'static, Result<String, Error>>
where
    F: FnMut(Option<String>) -> Response + Send + 'static,
    Response: Future<Output = Result<Page, Error>> + Send + 'static,
{
    let used: HashSet<String> = token.iter().cloned().collect();
    stream::try_unfold(Some((token, used)), move |state| {
        let request = state.map(|(token, used)| (fetch(token), used));
        async move {
            let Some((response, mut used)) = request else {
                return Ok(None);
            };
            let page = response.await?;
            // Some servers send an empty token with the last page.
            let next = page.next_token.filter(|token| !token.is_empty());
            if next.as_ref().is_some_and(|token| !used.insert(token.clone())) {
                let reason = "the server repeated a page token, so the list would never end";
                return Err(Error::response(reason).with_operation(operation));
            }
            let items = stream::iter(page.items).map(Ok);
            Ok(Some((items, next.map(|token| (Some(token), used)))))
        }
    })
    .try_flatten()
    .boxed()
}

/// Implements the setters and the stream of an action that lists queue URLs in pages.
macro_rules! pages {
    ($operation:ident) => {
        impl crate::client::Request<$operation> {
            /// Sets the maximum number of queues in a page. Range: 1–1,000. Default: SQS returns the first 1,000 queues
            /// and no token for the rest.
            pub fn max_results(mut self, max_results: u16) -> Self {
                self.input.max_results = Some(max_results);
                self
            }

            /// Lists the page of this token, which the previous page returned. Default: the first page.
            pub fn next_token(mut self, token: impl Into<String>) -> Self {
                self.input.next_token = Some(token.into());
                self
            }

            /// Returns the URLs of all queues as a stream. It requests a page once the previous page is consumed.
            /// [`max_results`](Self::max_results) sets the size of a page. Default: 1,000.
            ///
            /// # Errors
            ///
            /// The stream ends after an error of a request. If the server repeats a page token, it ends with an error of
            /// kind [`Response`](crate::ErrorKind::Response).
            // Inlined so that only a program that lists queues compiles these requests.
            #[inline]
            pub fn into_stream(mut self) -> futures_util::stream::BoxStream<'static, Result<String, crate::Error>> {
                self.input
                    .max_results
                    .get_or_insert(crate::limits::MAX_PAGE_RESULTS);
                let first = self.input.next_token.take();
                let name = <$operation as crate::operation::Operation>::NAME;
                crate::operation::pages::items(name, first, move |token| {
                    let mut request = self.clone();
                    request.input.next_token = token;
                    async move {
                        let output = request.await?;
                        Ok(crate::operation::pages::Page {
                            items: output.queue_urls,
                            next_token: output.next_token,
                        })
                    }
                })
            }
        }
    };
}
pub(super) use pages;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// The items and the token of a page. `Err` for a page that fails.
    type Scripted = Result<(&'static [&'static str], Option<&'static str>), ()>;

    /// Returns the items and the error of the stream over these pages.
    async fn list(pages: &'static [Scripted]) -> (Vec<String>, Option<Error>) {
        let mut pages = pages.iter();
        let mut expected = None;
        let fetch = move |token: Option<String>| {
            assert_eq!(token, expected);
            let page = *pages.next().expect("no page is requested after the last");
            expected = page.ok().and_then(|(_, token)| token.map(str::to_owned));
            std::future::ready(
                page.map_err(|()| Error::transport("broken"))
                    .map(|(items, token)| Page {
                        items: items.iter().map(|&item| item.to_owned()).collect(),
                        next_token: token.map(str::to_owned),
                    }),
            )
        };
        let (mut all, mut error) = (Vec::new(), None);
        let mut items = items("ListQueues", None, fetch);
        while let Some(item) = items.next().await {
            assert!(error.is_none(), "nothing comes after an error");
            match item {
                Ok(item) => all.push(item),
                Err(failed) => error = Some(failed),
            }
        }
        (all, error)
    }

    #[tokio::test]
    async fn pages_form_one_list() {
        let (all, error) = list(&[Ok((&["a", "b"], Some("1"))), Ok((&[], Some("2"))), Ok((&["c"], None))]).await;
        assert!(error.is_none() && all == ["a", "b", "c"], "{all:?} {error:?}");
        let (all, error) = list(&[Ok((&["a"], Some("")))]).await;
        assert!(error.is_none() && all == ["a"], "{all:?} {error:?}");
    }

    #[tokio::test]
    async fn the_list_ends_after_an_error() {
        let (all, error) = list(&[Ok((&["a"], Some("1"))), Err(())]).await;
        assert_eq!(
            (all.len(), error.map(|error| error.kind())),
            (1, Some(ErrorKind::Transport))
        );
    }

    #[tokio::test]
    async fn a_repeated_token_ends_the_list() {
        let (all, error) = list(&[
            Ok((&["a"], Some("1"))),
            Ok((&["b"], Some("2"))),
            Ok((&["a"], Some("1"))),
        ])
        .await;
        let error = error.unwrap();
        assert_eq!(all, ["a", "b"]);
        assert_eq!(
            (error.kind(), error.operation()),
            (ErrorKind::Response, Some("ListQueues"))
        );
    }
}
