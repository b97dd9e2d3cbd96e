DROP TABLE like_acts;
ALTER TABLE posts DROP COLUMN likes_seq;
