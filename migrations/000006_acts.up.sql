-- Advanced by every like and unlike of the post, so of two counts of its likes one can tell
-- which is the later. A program that does not know of it leaves it as it is: then two counts
-- may have the same number, and neither is known to be the later.
ALTER TABLE posts ADD COLUMN likes_seq bigint NOT NULL DEFAULT 0;

-- What each user did last to the likes of a post, with the count and its number as they were
-- then: what of it may not be on a cached page yet. Rows older than two hours are taken
-- out when their user acts again.
--
-- There are no foreign keys: a row is written in the transaction that has just written, or
-- deleted, the one in likes with the same user and post.
CREATE TABLE like_acts (
    user_id  bigint      NOT NULL,
    post_id  bigint      NOT NULL,
    liked    boolean     NOT NULL,
    likes    integer     NOT NULL,
    seq      bigint      NOT NULL,
    acted_at timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT like_acts_pkey PRIMARY KEY (user_id, post_id)
);

-- The latest acts of a user, and those that have had their time.
CREATE INDEX like_acts_latest ON like_acts (user_id, acted_at);
