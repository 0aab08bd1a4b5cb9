//! Lists as the API gives them: a part of the items, and where the next part begins.
//! Not here: the items.
//! Called by every route that lists something.

use serde::Serialize;
use utoipa::ToSchema;

use crate::extract::PageQuery;
use crate::problem::Result;

/// A part of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// To be sent as `after` for the next part; null at the end.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A list that is given as a whole.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }

    /// The part that `query` asks for of items in the order of `name`, which is unique.
    ///
    /// # Errors
    /// A limit that is out of bounds.
    pub fn of_named(mut items: Vec<T>, query: &PageQuery, name: impl Fn(&T) -> &str) -> Result<Self> {
        let limit = query.limit()?;
        let search = query.search.as_deref().unwrap_or_default().to_lowercase();
        let after = query.after.as_deref().unwrap_or_default();
        items.retain(|item| name(item) > after && name(item).to_lowercase().contains(&search));
        items.sort_by(|one, other| name(one).cmp(name(other)));
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|item| name(item).to_owned());
        Ok(Self { items, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_to_the_end() {
        let names = || ["b", "a", "d", "c", "e"].map(str::to_owned).to_vec();
        let mut query = PageQuery { limit: Some(2), ..PageQuery::default() };
        let mut seen = Vec::new();
        loop {
            let page = Page::of_named(names(), &query, |name| name).unwrap();
            seen.extend(page.items);
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn a_limit_out_of_bounds_is_refused() {
        let query = PageQuery { limit: Some(0), ..PageQuery::default() };
        assert!(Page::of_named(vec!["a".to_owned()], &query, |name| name).is_err());
    }
}
