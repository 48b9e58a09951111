-- For anyone, as it was meant: whoever may connect to this database may read the two views.
GRANT SELECT ON audit_served, audit_credits TO PUBLIC;
