-- The words for why a judgement failed are spelled as all JSON is.
UPDATE gate_events SET fail_open = CASE fail_open
        WHEN 'rateLimited' THEN 'rate_limited'
        WHEN 'serverError' THEN 'server_error'
        WHEN 'invalidRule' THEN 'invalid_rule'
        WHEN 'missingPointer' THEN 'missing_pointer'
        WHEN 'invalidEvidence' THEN 'invalid_evidence'
        WHEN 'breakerOpen' THEN 'breaker_open'
        ELSE fail_open
    END
    WHERE fail_open GLOB '[a-z]*[A-Z]*';
