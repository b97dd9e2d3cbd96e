-- "Where is this user a member": what is kept of a reader of the feed. The primary key
-- leads with the community, and answers "who is a member here".
CREATE INDEX members_user ON members (user_id, community_id);
